"""Scan and SSD on a CPU against the algorithms that others train Mamba with.

    python benchmarks/scan.py
    PYTHONPATH=FOLDER python benchmarks/scan.py       where mambapy lies in FOLDER

Times the selective scan and SSD, forward and forward with backward, at a student's and a teacher's
size: mamba_ssm's selective_scan_ref, transformers' slow path and mambapy's pscan beside ours in
pure torch and in C, every instruction set of this machine. Variants run in turn within a round.
Errors are against our scan in float64, memory is of a fresh process each. Writes scan.md and
scan.svg under --out. --quick leaves out the teacher, memory,
all but the first number of threads and all but two rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import scan_variants
import torch
from scan_variants import FORMS, LABELS, Size, Variant
from torch import Tensor

from aum_edge.bench.host import host

STUDENT, TEACHER = (32, 64, 96, 8), (4, 513, 1536, 16)
SIZES = (
    Size("scan, student", "scan", *STUDENT),
    Size("scan, teacher", "scan", *TEACHER),
    Size("SSD, student", "ssd", 32, 64, 96, 16),
    Size("SSD, teacher", "ssd", 4, 513, 1536, 16),
)
SLOW = {(name, "teacher", True) for name in ("ref", "hf", "recurrence")}
"""Backward of these at teacher size takes minutes or more memory than a laptop has."""


@dataclass(frozen=True)
class Row:
    """Times of one variant in seconds, one each round, with what is beside them."""

    size: Size
    variant: str
    train: bool
    threads: int
    times: list[float]
    error: float
    memory: float

    @property
    def base(self) -> tuple[Size, bool, int]:
        """What makes rows comparable."""
        return self.size, self.train, self.threads


def main() -> int:
    """Measure everything, then write the table and the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--rounds", type=int, default=5, help="at least 2")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(memory_of(*options.memory_of))
        return 0
    if options.rounds < 2 or min(options.threads) < 1:
        parser.error("--rounds must be 2 or more and --threads 1 or more")
    began = time.time()
    machine = host()
    sizes = [s for s in SIZES if not (options.quick and "teacher" in s.name)]
    threads = options.threads[:1] if options.quick else options.threads
    rounds = 2 if options.quick else options.rounds
    rows = []
    for size in sizes:
        memory = {}
        for name in names_for(size):
            say(f"{size.name}: memory of {LABELS[name]}")
            memory[name] = float("nan") if options.quick else measured_memory(size, name)
        for count in threads:
            for train in (False, True):
                rows += measured(size, train, count, rounds, memory)
    write(options.out, rows, machine, time.time() - began)
    return 0


def names_for(size: Size) -> list[str]:
    """Variants that can run here, the reference first."""
    return [name for name in FORMS[size.form] if not scan_variants.missing(name)]


def measured(
    size: Size, train: bool, threads: int, rounds: int, memory: dict[str, float]
) -> list[Row]:
    """All variants in turn, round after round; small sizes several times a round."""
    torch.set_num_threads(threads)
    inputs = size.inputs()
    names = [n for n in names_for(size) if (n, size.name.split()[-1], train) not in SLOW]
    say(f"{size.name}, {'training' if train else 'forward'}, {threads} threads: {', '.join(names)}")
    variants = {name: Variant(name, size.form) for name in names}
    wanted = truth(size, inputs, train)
    errors = {}
    for name, variant in variants.items():
        errors[name] = worst(once(variant, inputs, train)[1], wanted)
    del wanted
    repeats = 4 if "student" in size.name else 1
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, variant in variants.items():
            # A slow peer at teacher size is timed in two rounds: it takes seconds a time.
            if len(found[name]) >= 2 and min(found[name]) > 1.5:
                continue
            found[name].append(min(once(variant, inputs, train)[0] for _ in range(repeats)))
    return [Row(size, n, train, threads, found[n], errors[n], memory[n]) for n in names]


def once(variant: Variant, inputs: list[Tensor], train: bool) -> tuple[float, list[Tensor]]:
    """Seconds of one pass and its output, with all gradients when training.

    One thread is timed by its own CPU time, for others may use the machine; more by the clock.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    leaves = [x.clone().requires_grad_(train) for x in inputs]
    with variant.chosen(), torch.set_grad_enabled(train):
        start = clock()
        y = variant(*leaves)
        if train:
            y.backward(torch.ones_like(y))
        spent = clock() - start
    grads = [x.grad for x in leaves if x.grad is not None]
    return spent, [y.detach(), *grads]


def truth(size: Size, inputs: list[Tensor], train: bool) -> list[Tensor]:
    """Output and gradients in float64, by our pure torch, which the tests hold to the loop."""
    variant = Variant("torch", size.form)
    return once(variant, [x.double() for x in inputs], train)[1]


def worst(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Largest error over the largest value, of the output or any gradient."""
    pairs = zip(found, wanted, strict=True)
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in pairs)


def measured_memory(size: Size, name: str) -> float:
    """MB that training takes on top of the inputs, in a process of its own; NaN where left out."""
    if (name, size.name.split()[-1], True) in SLOW:
        return float("nan")
    command = [sys.executable, __file__, "--memory-of", size.name, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(done.stdout)


def memory_of(name: str, variant: str) -> float:
    """Peak of this process during one training pass over what it holds before, in MB."""
    torch.set_num_threads(1)
    size = next(s for s in SIZES if s.name == name)
    run = Variant(variant, size.form)
    small = Size("warm-up", size.form, 1, 2, size.channels, size.states).inputs()
    once(run, small, True)
    inputs = size.inputs()
    peak = Peak()
    once(run, inputs, True)
    return peak.growth()


class Peak:
    """Growth of the process's largest resident memory since now."""

    def __init__(self) -> None:
        self.reset = Path("/proc/self/clear_refs")
        if self.reset.exists():
            self.reset.write_text("5")
        self.before = psutil.Process().memory_info().rss

    def growth(self) -> float:
        """MB; NaN on systems that do not tell."""
        status = Path("/proc/self/status")
        if not status.exists():
            return float("nan")
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return (int(line.split()[1]) * 1024 - self.before) / 1e6


def write(out: Path, rows: list[Row], machine: dict, seconds: float) -> None:
    """scan.md and scan.svg."""
    left_out = [why for n in LABELS if (why := scan_variants.missing(n))]
    lines = [
        "# Selective scan and SSD on a CPU",
        "",
        f"Command: `python benchmarks/scan.py {' '.join(sys.argv[1:])}` "
        f"({seconds:.0f} s), {datetime.now(UTC):%Y-%m-%d}. Host: {machine['cpu']}, "
        f"{machine['cores']} cores, torch {machine['torch']}, load {machine['load_average']}.  ",
        "Sizes are batch x length x channels x states; float32, variants in turn. One thread is "
        "timed by its CPU time, more by the clock. Spread is the largest over the smallest time of "
        "a round. Times less: the first row's minimum over this one's. Error: largest over output "
        "and gradients, relative to the largest value, against float64. Memory: peak of a training "
        "pass over its inputs.",
        *(["Left out: " + "; ".join(left_out) + "."] if left_out else []),
        "Not run: backward of the loops under autograd at teacher size (minutes; its cost "
        "grows with length squared).",
    ]
    for base in dict.fromkeys(row.base for row in rows):
        size, train, threads = base
        what = "forward and backward" if train else "forward"
        some = [row for row in rows if row.base == base]
        lines += [
            "",
            f"## {size.name} ({size.label}): {what}, {threads} thread{'s' * (threads > 1)}",
            "",
            "| variant | min ms | median ms | spread | ns a state element | times less | error | "
            "memory MB |",
            "|---|---|---|---|---|---|---|---|",
            *(line(row, some[0]) for row in some),
        ]
    lines += ["", "![Times less than the first row of each table](scan.svg)", ""]
    out.mkdir(parents=True, exist_ok=True)
    (out / "scan.md").write_text("\n".join(lines), encoding="utf-8")
    picture(out / "scan.svg", rows)
    say(f"Wrote {out / 'scan.md'} and {out / 'scan.svg'}.")


def line(row: Row, first: Row) -> str:
    """One row of a table."""
    least = min(row.times)
    cells = (
        LABELS[row.variant],
        f"{least * 1e3:.2f}",
        f"{statistics.median(row.times) * 1e3:.2f}",
        f"{max(row.times) / least:.2f}",
        f"{least * 1e9 / row.size.elements:.2f}",
        f"{min(first.times) / least:.1f}",
        f"{row.error:.1e}",
        "" if row.memory != row.memory else f"{row.memory:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def picture(path: Path, rows: list[Row]) -> None:
    """Speed of training on one thread beside the first row's, one panel a size."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    threads = rows[0].threads
    shown = [row for row in rows if row.train and row.threads == threads]
    sizes = list(dict.fromkeys(row.size for row in shown))
    figure, panels = plt.subplots(
        len(sizes), 1, figsize=(8, 1 + 2.1 * len(sizes)), squeeze=False, layout="constrained"
    )
    for panel, size in zip(panels[:, 0], sizes, strict=True):
        some = [row for row in shown if row.size == size][::-1]
        speed = [min(some[-1].times) / min(row.times) for row in some]
        bars = panel.barh([LABELS[row.variant] for row in some], speed, color="#3b6ea5")
        panel.bar_label(bars, labels=[f"{x:.1f}" for x in speed], padding=3)
        panel.set_xscale("log")
        panel.set_xlim(right=2 * max(speed))
        panel.set_title(f"{size.name} ({size.label}), forward and backward", loc="left")
    panels[-1, 0].set_xlabel("times less time than the first variant of the panel")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def say(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
