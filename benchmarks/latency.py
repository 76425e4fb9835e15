"""Students of every preset beside CP-Mobile: fp32 and int8, runtimes, threads, operators.

    python benchmarks/latency.py --out benchmarks/results
    PYTHONPATH=/path/to/openvino python benchmarks/latency.py    (with OpenVINO, where it is)

Weights are random: latency does not depend on them, and accuracy is none of this script's. Give
--accuracy FILE.json ({preset: accuracy}) to show measured ones beside. Models take turns within
one run; the ratio to CP-Mobile is the result. Writes latency.md and latency.svg.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench.config import BenchConfig, BenchPlan
from aum_edge.bench.latency import measure
from aum_edge.bench.operators import operator_times
from aum_edge.bench.report import BenchReport, BenchRow
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.onnx_static import quantize_onnx
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.core.progress import stderr_progress
from aum_edge.errors import AumEdgeError
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import STUDENTS, preset
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.onnx import OnnxClassifier

CONTROL = "cp-mobile"
FORMS = ("fp32", "int8", "int8-static")
PAYS = 0.97
"""An int8 file pays from this share of its float file's time on."""


@dataclass(frozen=True)
class Made:
    """A file, and what making it took."""

    name: str
    form: str
    path: Path
    seconds: float
    nodes: int
    size: int
    error: float


def main() -> int:
    """Make the files, time them, write the tables and the picture."""
    options = arguments()
    torch.manual_seed(0)
    known = json.loads(options.accuracy.read_text()) if options.accuracy else {}
    show = stderr_progress()
    with tempfile.TemporaryDirectory() as folder:
        files: list[Made] = []
        for done, name in enumerate(names := [CONTROL, *options.models]):
            show(done, len(names), f"exporting {name}")
            files += forms(name, Path(folder))
        onnx = measure(
            [made.path for made in files],
            BenchConfig(runs=options.runs, warmup=options.warmup),
            progress=show,
            plan=BenchPlan(threads=tuple(options.threads), fresh=not options.quick),
        )
        others = other_runtimes(Path(folder), names, files, options)
        shares = {
            made.path.stem: operator_times(made.path, runs=max(5, options.runs // 5))
            for made in files
        }
    options.out.mkdir(parents=True, exist_ok=True)
    lines = page(options, files, onnx, others, shares, known)
    (options.out / "latency.md").write_text("\n".join(lines), encoding="utf-8")
    picture(options.out / "latency.svg", shares)
    print("\n".join(lines))
    return 0


def arguments() -> argparse.Namespace:
    """Options of the script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--models", nargs="+", default=list(STUDENTS), choices=list(STUDENTS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--warmup", type=int, default=30)
    parser.add_argument("--accuracy", type=Path, help="JSON of accuracies by preset")
    parser.add_argument("--quick", action="store_true", help="one student, few runs")
    options = parser.parse_args()
    if options.quick:
        options.models, options.runs, options.warmup = options.models[:1], 5, 1
    return options


def forms(name: str, folder: Path) -> list[Made]:
    """A preset as float, with int8 weights, and with int8 activations too; a directory beside."""
    model = AudioClassifier(
        build(preset(name, n_classes=10, n_mels=256, n_frames=65)),
        frontend=FrontEndConfig(),
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=tuple("abcdefghij"),
    ).eval()
    save(model, folder / name)
    clips = -2 + 3 * torch.randn(32, 1, 256, 65, generator=torch.manual_seed(1))
    with torch.inference_mode():
        wanted = model(clips)
    found = []
    for form in FORMS:
        path = folder / f"{name}.{form}.onnx"
        if form == "int8-static":
            quantize_onnx(folder / f"{name}.fp32.onnx", path, clips.numpy())
            seconds = 0.0
        else:
            source = model if form == "fp32" else quantize(model, QuantizeConfig())
            seconds = export_onnx(source, path, clips=clips).seconds
        runner = OnnxClassifier(path)
        error = float((runner.logits(clips) - wanted).abs().max())
        facts = runner.describe()
        found.append(Made(name, form, path, seconds, facts["nodes"], facts["bytes"], error))
    return found


def other_runtimes(
    folder: Path, names: list[str], files: list[Made], options: argparse.Namespace
) -> list[tuple[str, BenchReport | str]]:
    """The float models in torch eager and in OpenVINO, CP-Mobile in the same one among them."""
    control = files[0].path
    plain = [made.path for made in files if made.form == "fp32" and made.name != CONTROL]
    config = BenchConfig(runs=max(5, options.runs // 2), warmup=options.warmup)
    found: list[tuple[str, BenchReport | str]] = []
    jobs = {"torch": [folder / name for name in names], "openvino": [control, *plain]}
    for runtime, paths in jobs.items():
        if runtime == "openvino" and find_spec("openvino") is None:
            found.append((runtime, "not installed"))
            continue
        plan = BenchPlan(runtimes=(runtime,), threads=tuple(options.threads), tolerant=True)
        try:
            report = measure(paths, config, progress=stderr_progress(), plan=plan)
            found.append((runtime, report))
        except AumEdgeError as error:
            found.append((runtime, str(error)))
    return found


def page(
    options: argparse.Namespace,
    files: list[Made],
    onnx: BenchReport,
    others: list[tuple[str, BenchReport | str]],
    shares: dict[str, dict[str, float]],
    known: dict[str, float],
) -> list[str]:
    """The Markdown document."""
    machine = onnx.host
    flags = " ".join(machine["cpu_flags"])
    return [
        "# Latency of every student preset beside CP-Mobile",
        "",
        f"Command: `python benchmarks/latency.py {' '.join(sys.argv[1:])}`, {date.today()}. "
        f"Host: {machine['cpu']} ({flags}), {machine['logical_cores']} cores, load "
        f"{machine['load_average']}, onnxruntime {machine['onnxruntime']}, torch "
        f"{machine['torch']}, OpenVINO {machine['openvino'] or 'not installed'}.",
        "",
        "One clip of 1 s, 256 mels by 65 frames, front end not included, random weights, "
        f"{options.runs} runs of each in turns. Ratio: p50 over CP-Mobile's in float at as many "
        "threads of the same run. Error: largest logit difference from the float model in torch "
        "on 32 clips of noise; with int8 it is the rounding of random weights. "
        + ("" if known else "No accuracies were given to this run (`--accuracy`)."),
        *([f"**Note: {line}.**" for line in onnx.warnings]),
        "",
        *onnx_table(files, onnx, known),
        *int8_lines(files, onnx),
        *runtime_tables(others),
        *share_table(shares),
        "![Time by operator](latency.svg)",
        "",
    ]


def onnx_table(files: list[Made], onnx: BenchReport, known: dict[str, float]) -> list[str]:
    """Every file at every number of threads."""
    made = {str(one.path): one for one in files}
    lines = [
        "## onnxruntime",
        "",
        "| model | form | threads | p50 ms | p99 ms | min ms | ratio | error | accuracy | load ms "
        "| MB | nodes | bytes | export s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in onnx.rows:
        one = made[row.model]
        accuracy = f"{100 * known[one.name]:.1f} %" if one.name in known else "–"
        export = f"{one.seconds:.1f}" if one.seconds else "–"
        lines.append(
            f"| {one.name} | {one.form} | {row.threads} | {row.p50_ms:.3f} | {row.p99_ms:.3f} | "
            f"{row.min_ms:.3f} | {row.ratio or 0:.2f} | {one.error:.1e} | {accuracy} | "
            f"{row.load_ms:.0f} | {row.rss_mb:.1f} | {one.nodes} | {one.size:,} | {export} |"
        )
    return [*lines, ""]


def int8_lines(files: list[Made], onnx: BenchReport) -> list[str]:
    """Where int8 is faster than float, and where it is not."""
    times: dict[tuple[str, str, int], BenchRow] = {}
    by_path = {str(one.path): one for one in files}
    for row in onnx.rows:
        times[by_path[row.model].name, by_path[row.model].form, row.threads] = row
    pays, costs = [], []
    for (name, form, threads), row in times.items():
        if form != "fp32":
            share = row.p50_ms / times[name, "fp32", threads].p50_ms
            text = f"{name} {form}, {threads} thr ({share:.2f})"
            (pays if share <= PAYS else costs).append(text)
    return [
        "int8 over float, by time (below 1 is faster). It pays for: "
        f"{'; '.join(pays) or 'none'}. It does not pay for: {'; '.join(costs) or 'none'}. "
        "What it always buys is bytes.",
        "",
    ]


def runtime_tables(others: list[tuple[str, BenchReport | str]]) -> list[str]:
    """Torch eager and OpenVINO, each against CP-Mobile in the same runtime."""
    lines = []
    for runtime, found in others:
        lines += [f"## {runtime}", ""]
        if isinstance(found, str):
            lines += [f"Not measured: {found}", ""]
            continue
        lines += [
            "| model | threads | p50 ms | p99 ms | min ms | ratio |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {Path(row.model).name.removesuffix('.fp32.onnx')} | {row.threads} | "
            f"{row.p50_ms:.3f} | {row.p99_ms:.3f} | {row.min_ms:.3f} | {row.ratio or 0:.2f} |"
            for row in found.rows
        ]
        lines += [*(f"Not measured: {gone['reason']}" for gone in found.failed), ""]
    return lines


def share_table(shares: dict[str, dict[str, float]]) -> list[str]:
    """Microseconds a run by group of operators."""
    groups = list(dict.fromkeys(group for times in shares.values() for group in times))
    lines = [
        "## Where the time goes",
        "",
        "Microseconds a run, one thread, from onnxruntime's profile (which itself adds about one "
        "for each node).",
        "",
        f"| file | {' | '.join(groups)} |",
        "|---" * (len(groups) + 1) + "|",
    ]
    for name, times in shares.items():
        lines.append(f"| {name} | {' | '.join(f'{times.get(g, 0):.0f}' for g in groups)} |")
    return [*lines, ""]


def picture(path: Path, shares: dict[str, dict[str, float]]) -> None:
    """Stacked bars: each file's time by group of operators."""
    groups = list(dict.fromkeys(group for times in shares.values() for group in times))
    figure, axes = plt.subplots(figsize=(9, 1 + 0.26 * len(shares)))
    left: Any = [0.0] * len(shares)
    for group in groups:
        widths = [times.get(group, 0.0) for times in shares.values()]
        axes.barh(list(shares), widths, left=left, label=group)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_xlabel("µs a clip in onnxruntime, one thread")
    axes.legend(fontsize=8)
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
