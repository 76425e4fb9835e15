"""`aum-edge export MODEL OUT.onnx|OUT.c`: a file that runs on a plain CPU and is proven equal."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from aum_edge.cli.export_c import add_c_arguments, run_c


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
    from aum_edge.export.config import ExportConfig
    from aum_edge.export.onnx import export_onnx
    from aum_edge.export.streaming import export_streaming
    from aum_edge.models.directory import load

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
