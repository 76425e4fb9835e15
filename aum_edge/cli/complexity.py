"""`aum-edge complexity MODEL`: is it inside the limits, officially and in truth?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="model directory or .onnx file")
    parser.add_argument("--limits", default="dcase2025", help="a preset or a YAML file")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")


def run(options: argparse.Namespace) -> int:
    """Print the count; exit code 3 when a limit is passed by the exact count."""
    from aum_edge.complexity.limits import get_limits
    from aum_edge.complexity.onnx_counter import analyse_onnx
    from aum_edge.complexity.render import markdown, text
    from aum_edge.complexity.report import analyse
    from aum_edge.models.directory import load

    limits = get_limits(options.limits)
    if options.model.suffix == ".onnx":
        result = analyse_onnx(options.model, limits)
    else:
        result = analyse(load(options.model), limits)
    if options.json:
        print(json.dumps(result.to_dict(), indent=1))
    else:
        print(markdown(result) if options.markdown else text(result))
    over = [name for name, inside in result.to_dict()["within_limits"].items() if inside is False]
    if over:
        print(f"Over the {limits.name} limits by the {' and '.join(over)} count.", file=sys.stderr)
    return 3 if over else 0
