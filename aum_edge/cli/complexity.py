"""`aum-edge complexity MODEL`: exact and official MACs and bytes against limits."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aum_edge.complexity.report import Complexity
    from aum_edge.export.c.budget import Budget


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="model or run directory, .onnx file, or package.module:name of a torch.nn.Module",
    )
    parser.add_argument("--limits", default="dcase2025", help="a preset or a YAML file")
    parser.add_argument(
        "--input-shape", metavar="1,1,256,65", help="for package.module:name, batch first"
    )
    parser.add_argument(
        "--crosscheck", action="store_true", help="thop, torchinfo, fvcore and others beside it"
    )
    parser.add_argument(
        "--graph", type=Path, metavar="FILE.onnx", help="count this export of the model as well"
    )
    parser.add_argument(
        "--engine",
        action="store_true",
        help="what the exported .c needs of a microcontroller: flash, arena, estimated cycles",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document on stdout")
    form.add_argument("--markdown", action="store_true", help="tables in Markdown")
    form.add_argument("--csv", action="store_true", help="one line a layer and operator")
    form.add_argument(
        "--submission", action="store_true", help="the block of a challenge's meta file"
    )


def run(options: argparse.Namespace) -> int:
    """Print the count; exit code 3 when a limit is passed by either count.

    What is over or not known is printed on stderr; not known alone is exit code 0.
    """
    from aum_edge.complexity.complexity import complexity
    from aum_edge.complexity.limits import get_limits

    limits = get_limits(options.limits)
    _check(options)
    results = {
        name: complexity(
            name, limits, input_shape=options.input_shape, crosscheck=options.crosscheck
        )
        for name in options.models
    }
    if options.json:
        print(json.dumps(_document(results, options), indent=1))
    else:
        for name, result in results.items():
            print("\n".join(_printed(name, result, options, len(results))))
            if options.csv or options.submission:
                for line in result.warnings:
                    print(f"{name}: {line}", file=sys.stderr)
    for name, result in results.items():
        verdict = result.verdict
        for count in verdict.counts:
            if verdict.rows_of(count) and verdict.state_by(count) != "inside":
                print(verdict.line(name, count), file=sys.stderr)
    return 3 if any(result.verdict.over for result in results.values()) else 0


def _check(options: argparse.Namespace) -> None:
    """Options that would do nothing are refused."""
    from aum_edge.complexity.import_path import is_import_path
    from aum_edge.errors import RecipeError

    if options.graph and (len(options.models) > 1 or options.csv or options.submission):
        raise RecipeError("`--graph` stands beside one model, as text, --markdown or --json.")
    if options.engine and (options.csv or options.submission):
        raise RecipeError("`--engine` stands beside text, --markdown or --json.")
    for name in options.models:
        if options.engine and (is_import_path(name) or name.lower().endswith(".onnx")):
            raise RecipeError(f"`--engine` needs a model directory of a student, got {name}.")


def _document(results: dict[str, Complexity], options: argparse.Namespace) -> dict[str, Any]:
    """One model's document, or all of them by name: each has the whole budget."""
    documents = {name: result.to_dict() for name, result in results.items()}
    if options.graph:
        for name, result in results.items():
            documents[name]["graph"] = _graph(result, options.graph)
    if options.engine:
        for name in results:
            documents[name]["engine"] = _engine(name).to_dict()
    return next(iter(documents.values())) if len(documents) == 1 else {"models": documents}


def _graph(result: Complexity, path: Path) -> dict[str, Any]:
    from aum_edge.complexity.onnx.agreement import differences
    from aum_edge.complexity.onnx.counter import count_onnx

    counts = count_onnx(path)
    found = [row.to_dict() for row in differences(result.counts, counts)]
    return {
        "macs": counts.macs,
        "macs_by_op": dict(counts.macs_by_op),
        "unsupported": dict(counts.unsupported),
        "differences": found,
    }


def _engine(name: str) -> Budget:
    from aum_edge.export.c.budget import engine_budget
    from aum_edge.models.classifier import load

    return engine_budget(load(Path(name)))


def _printed(name: str, result: Complexity, options: argparse.Namespace, models: int) -> list[str]:
    from aum_edge.complexity import render

    if options.csv:
        lines = [render.layer_csv(result)]
    elif options.submission:
        lines = [render.submission(result)]
    else:
        lines = [render.markdown(result) if options.markdown else render.text(result)]
    if models > 1:
        lines.insert(0, f"# {name}")
    if options.engine:
        budget = _engine(name)
        lines.append(
            f"As C: flash {budget.flash_bytes:,} bytes, arena {budget.arena_bytes:,}; "
            f"{budget.network_instructions:,} instructions a clip for the network, "
            f"{budget.front_end_instructions:,} for the front end (estimate)"
        )
        lines += budget.lines()
    if options.graph:
        found = _graph(result, options.graph)
        gap = result.counts.macs - found["macs"]
        lines.append(
            f"The exported graph {options.graph.name}: {found['macs']:,} MACs, "
            + ("the same." if not gap else f"{abs(gap):,} {'fewer' if gap > 0 else 'more'}.")
        )
        lines += [f"  no rule for {name} ({n} calls)" for name, n in found["unsupported"].items()]
        lines += [
            f"  {row['module']}: torch {row['torch']:,}, graph {row['onnx']:,}: {row['why']}"
            for row in found["differences"]
        ]
    return lines
