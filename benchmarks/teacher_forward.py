"""A published-size AuM on one 10 s clip on a CPU: our scan beside the plain sequential reference.

    python benchmarks/teacher_forward.py --runs 5 --table benchmarks/results/teacher_forward.md

The network, its random weights and the clip are the same for every variant; only the selective
scan differs. Every measurement is a process of its own, and the variants take turns, so that a
busy machine hurts all of them alike. Memory is the resident peak of the forward over what the
loaded model held before it, after a short clip has warmed the libraries up.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from torch import Tensor

from aum_edge.bench.host import host
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.ssm.mixers import mamba
from aum_edge.ssm.scan.interface import selective_scan_ref

VARIANTS = {
    "reference": "plain sequential loop",
    "torch": "ours, pure torch",
    "c": "ours, C kernel",
}
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
CLASSES, MELS, FRAMES = 527, 128, 1024


def main() -> int:
    """Run all processes in rounds, then write the table."""
    options = arguments()
    if options.measure:
        print(json.dumps(measure(options)))
        return 0
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(options.runs):
            for model in options.models:
                for threads in options.threads:
                    for variant in VARIANTS:
                        rows.append(process(model, variant, threads, Path(folder)))
                        print(json.dumps({"round": round_, **rows[-1]}), file=sys.stderr)
            if options.table:
                options.table.write_text(table(options, rows) + "\n", encoding="utf-8")
    print(table(options, rows))
    return 0


def arguments() -> argparse.Namespace:
    """Options of the script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["aum-base", "aum-small"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5, help="rounds of fresh processes")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--measure", nargs=2, metavar=("MODEL", "VARIANT"), help="one process")
    parser.add_argument("--logits", type=Path, help="of --measure: where the logits go")
    return parser.parse_args()


def process(model: str, variant: str, threads: int, folder: Path) -> dict:
    """One measurement in a process of its own; logits are held against the first reference's."""
    logits = folder / f"{model}-{variant}-{threads}.pt"
    command = [sys.executable, __file__, "--measure", model, variant]
    command += ["--threads", str(threads), "--logits", str(logits)]
    names = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    names["OMP_WAIT_POLICY"] = "PASSIVE"  # waiting threads leave the cores to other work
    names["AUM_EDGE_SCAN"] = "c" if variant == "c" else "torch"
    load = os.getloadavg()[0]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **names}
    )
    row = json.loads(done.stdout.splitlines()[-1])
    wanted = torch.load(folder / f"{model}-reference-{threads}.pt", weights_only=True)
    found = torch.load(logits, weights_only=True)
    gap = (found - wanted).abs().max().item()
    return {**row, "load": load, "difference": gap, "scale": wanted.abs().max().item()}


@torch.inference_mode()
def measure(options: argparse.Namespace) -> dict:
    """Seconds and megabytes of one forward of the clip."""
    name, variant = options.measure
    torch.set_num_threads(options.threads[0])
    torch.manual_seed(0)
    model = build(preset(name, n_classes=CLASSES, n_mels=MELS, n_frames=FRAMES)).eval()
    clip = torch.randn(1, 1, MELS, FRAMES)
    if variant == "reference":
        mamba.scan = reference  # type: ignore[assignment]
    model(clip[..., :32])
    forget_peak()
    before = psutil.Process().memory_info().rss
    clock, work = time.perf_counter_ns(), time.process_time_ns()
    logits = model(clip)
    seconds = (time.perf_counter_ns() - clock) / 1e9
    cpu = (time.process_time_ns() - work) / 1e9
    used = max(0, peak_bytes() - before) / 1e6
    torch.save(logits, options.logits)
    words = {"model": name, "variant": variant, "threads": options.threads[0]}
    return {**words, "seconds": seconds, "cpu": cpu, "mb": used, "tokens": model.n_patches + 1}


def forget_peak() -> None:
    """Set the kernel's record of this process's resident peak to what it holds now (Linux)."""
    if CLEAR.exists():
        CLEAR.write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Resident peak since :func:`forget_peak`; elsewhere than on Linux since the start."""
    if STATUS.exists():
        line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def reference(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """The loop of ``selective_scan_ref`` in the place of our operator."""
    if reverse:
        u, delta, B, C = u.flip(1), delta.flip(1), B.flip(1), C.flip(1)
    states = [x.permute(0, 2, 3, 1) for x in (B, C)]
    y, last = selective_scan_ref(
        u.transpose(1, 2), delta.transpose(1, 2), A, *states, return_last_state=True
    )
    y = y.transpose(1, 2)
    return (y.flip(1) if reverse else y), last


def table(options: argparse.Namespace, rows: list[dict]) -> str:
    """Markdown: one row for a model, a number of threads and a scan."""
    machine = host()
    rounds = sum(key(row) == key(rows[0]) for row in rows)
    loads = [row["load"] for row in rows]
    lines = [
        "# AuM teachers: one forward of one 10 s clip on a CPU",
        "",
        f"Command: `python benchmarks/teacher_forward.py {' '.join(sys.argv[1:])}`  ",
        f"Host: {machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}; load average "
        f"before the runs {min(loads):.1f} to {max(loads):.1f} (other work shared the machine).  ",
        f"Input {MELS} mels by {FRAMES} frames, {rows[0]['tokens']} tokens, {CLASSES} classes, "
        "random weights, batch 1, float32, OMP_WAIT_POLICY=PASSIVE. "
        f"{rounds} fresh processes a row, variants in turn: "
        "median (lowest to highest). Memory: peak over the loaded model, largest of the "
        "processes. CPU time is all threads' and leaves out waiting for a busy core. Ratios are "
        "the reference's median over the row's, so more is better. "
        "Gap: largest difference of any logit from the reference's, beside the largest logit.",
        "",
        "| model | threads | scan | time, s | CPU, s | CPU ratio | memory, MB | times less | gap |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model in options.models:
        for threads in options.threads:
            found = {
                variant: [r for r in rows if key(r) == (model, threads, variant)]
                for variant in VARIANTS
            }
            lines += [line(found["reference"], found[variant]) for variant in VARIANTS]
    return "\n".join(lines)


def key(row: dict) -> tuple[str, int, str]:
    """What one table row collects."""
    return row["model"], row["threads"], row["variant"]


def line(base: list[dict], rows: list[dict]) -> str:
    """One row of the table, beside the reference's."""
    times, spent = ([r[name] for r in rows] for name in ("seconds", "cpu"))
    slow = statistics.median(row["cpu"] for row in base)
    memory, large = (max(r["mb"] for r in part) for part in (rows, base))
    gap = max(row["difference"] for row in rows)
    cells = (
        rows[0]["model"],
        str(rows[0]["threads"]),
        VARIANTS[rows[0]["variant"]],
        f"{statistics.median(times):.2f} ({min(times):.2f}–{max(times):.2f})",
        f"{statistics.median(spent):.2f} ({min(spent):.2f}–{max(spent):.2f})",
        f"{slow / statistics.median(spent):.1f}",
        f"{memory:.0f}",
        f"{large / memory:.1f}",
        f"{gap:.1e} of {rows[0]['scale']:.2f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
