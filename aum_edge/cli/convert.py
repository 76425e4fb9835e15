"""`aum-edge convert CHECKPOINT OUT_DIR --kind KIND`: published weights to a model directory."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from aum_edge.errors import RecipeError

KINDS = ("aum", "ssamba", "vim", "asc", "ast-ssl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help=".pth, .pt, .bin, .ckpt or .safetensors; for ast-ssl also a Hugging Face folder",
    )
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="model directory to write")
    parser.add_argument("--kind", required=True, choices=KINDS, help="whose checkpoint it is")
    parser.add_argument(
        "--flags", type=Path, metavar="FLAGS.json", help="upstream's flags, as its script has them"
    )
    parser.add_argument(
        "--flag",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one flag, such as n_class=35 or label_csv=labels.csv; wins over the file",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Convert and save; prints what was resized, left out or initialised fresh."""
    from aum_edge.checkpoints.convert import convert, read_flags

    flags = read_flags(options.flags) if options.flags else {}
    model = convert(
        options.checkpoint, options.out, kind=options.kind, flags=flags | _pairs(options.flag)
    )
    found = {
        "model": str(options.out),
        "kind": options.kind,
        "parameters": sum(p.numel() for p in model.parameters()),
        "classes": len(model.labels),
        "notes": list(model.lineage[-1]["notes"]),
    }
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for note in found["notes"]:
        print(note)
    print(f"{found['parameters']:,} parameters, {found['classes']} classes: {options.out}")
    return 0


def _pairs(texts: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts.

    Raises:
        RecipeError: If a text has no ``=``.
    """
    flags: dict[str, Any] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise RecipeError(f"`--flag {text}` must read NAME=VALUE, for example n_class=35.")
        flags[name] = value
    return flags
