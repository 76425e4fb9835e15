"""`aum-edge export MODEL OUT.onnx|OUT.c`: a file that runs on a plain CPU and is proven equal."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aum_edge.core.progress import stderr_progress
from aum_edge.errors import RecipeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="model directory")
    parser.add_argument("out", type=Path, metavar="OUT.onnx|OUT.c")
    parser.add_argument("--scan", default="auto", help="how a scan is written: auto|scan|unrolled")
    parser.add_argument(
        "--streaming", action="store_true", help="a step graph with its state, for causal students"
    )
    parser.add_argument(
        "--with-frontend", action="store_true", help="waveform in: the front end is inside the file"
    )
    parser.add_argument(
        "--dynamic-length", action="store_true", help="any number of frames, where that is possible"
    )
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--atol", type=float, default=1e-4, help="largest logit difference")
    add_c_arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Export and verify."""
    if options.out.suffix == ".c":
        return run_c(options)
    from aum_edge.errors import RecipeError
    from aum_edge.export.onnx.config import ExportConfig
    from aum_edge.export.onnx.export import export_onnx
    from aum_edge.export.onnx.streaming import export_streaming
    from aum_edge.models.classifier import load

    if options.out.suffix.lower() != ".onnx":
        raise RecipeError(
            f"The file to write ends in .onnx or .c, got {options.out}: the ending says what it is."
        )
    if options.name is not None or options.separate_weights:
        raise RecipeError("--name and --separate-weights are for .c files: leave them out.")
    config = ExportConfig(
        scan=options.scan,
        with_frontend=options.with_frontend,
        dynamic_length=options.dynamic_length,
        opset=options.opset,
        atol=options.atol,
    )
    if options.streaming and (config.with_frontend or config.dynamic_length):
        raise RecipeError(
            "A step graph takes frames one by one, of a recording of any length: leave out "
            "--with-frontend and --dynamic-length."
        )
    write = export_streaming if options.streaming else export_onnx
    report = write(load(options.model), options.out, config, None)
    values = report.to_dict()
    if options.json:
        print(json.dumps(values, indent=1))
    else:
        print(
            f"{options.out}: {values['bytes']:,} bytes, {values['nodes']} nodes, scan as "
            f"{values['scan']}, made in {values['seconds']:.1f} s, loads in "
            f"{values['load_ms']:.0f} ms, largest logit difference {values['max_abs_diff']:.1e}"
        )
    return 0


if TYPE_CHECKING:
    from aum_edge.export.c.budget import Budget
    from aum_edge.export.c.export import CExportReport

UNVERIFIED = 1
"""Exit code where no compiler could do it: the file is there, and nothing has proven it."""


def add_c_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that only C files have."""
    parser.add_argument(
        "--name", help="NAME.c: prefix of its functions; of the file's name if none"
    )
    parser.add_argument(
        "--separate-weights", action="store_true", help="NAME.c: weights in a file of their own"
    )


def run_c(options: argparse.Namespace) -> int:
    """Export, and verify with the machine's compiler; 1 if none can."""
    from aum_edge.export.c.config import CExportConfig
    from aum_edge.export.c.export import export_c
    from aum_edge.models.classifier import load

    given = {
        "--scan": options.scan != "auto",
        "--streaming": options.streaming,
        "--with-frontend": options.with_frontend,
        "--dynamic-length": options.dynamic_length,
        "--opset": options.opset != 18,
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise RecipeError(
            f"{', '.join(wrong)} is for .onnx files: a .c file has its front end inside, and hears "
            "streams if the model can."
        )
    config = CExportConfig(
        name=options.name, separate_weights=options.separate_weights, atol=options.atol
    )
    report = export_c(load(options.model), options.out, config, stderr_progress())
    print(json.dumps(report.to_dict(), indent=1) if options.json else _text(report))
    if not report.verified:
        print(
            f"aum-edge: {options.out} is unverified. {report.unproven} On its target, "
            f"{report.name}_test.c says whether it is right.",
            file=sys.stderr,
        )
        return UNVERIFIED
    return 0


def _text(report: CExportReport) -> str:
    lines = [
        f"{report.path}: {', '.join(report.files[1:])} beside it, made in {report.seconds:.1f} s",
        f"  weights {report.weight_bytes:,} bytes, front end's tables {report.table_bytes:,}, "
        f"arena {report.arena_bytes:,}"
        + (f", of a stream {report.stream_bytes:,}" if report.stream_bytes else ""),
    ]
    lines += core_lines(report.budget)
    if report.proof:
        lines.append(
            f"  verified by {report.proof.compiler}: largest logit difference "
            f"{report.proof.from_features:.1e} from features, "
            f"{report.proof.from_samples:.1e} from samples"
        )
    return "\n".join(lines)


def core_lines(budget: Budget) -> list[str]:
    """One line for each microcontroller core."""
    return [
        f"  {core.name} at {core.mhz} MHz (estimate): {core.ms:.0f} ms a clip, "
        f"{100 * core.share:.1f} % of its time, at {core.cycles_per_instruction:g} cycles an "
        "instruction"
        for core in budget.cores
    ]
