"""`aum-edge convert CHECKPOINT OUT_DIR --kind KIND`: published weights to a model directory."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

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
    """Convert, save, and say what was resized, left out or started fresh."""
    from aum_edge.checkpoints.hf_folder import read_folder
    from aum_edge.checkpoints.read import read_checkpoint
    from aum_edge.checkpoints.upstream import from_upstream
    from aum_edge.models.storage.directory import save

    flags = read_flags(options.flags, options.flag)
    if options.kind == "ast-ssl" and options.checkpoint.is_dir():
        tensors, written = read_folder(options.checkpoint)
        flags = written | flags
    else:
        wrapper = flags.get("imagenet_pretrain_modelkey") if options.kind == "vim" else None
        tensors = read_checkpoint(options.checkpoint, wrapper).tensors
    model = from_upstream(tensors, options.kind, flags)
    save(model, options.out)
    facts = {
        "model": str(options.out),
        "kind": options.kind,
        "parameters": sum(p.numel() for p in model.parameters()),
        "classes": len(model.labels),
        "notes": list(model.lineage[-1]["notes"]),
    }
    if options.json:
        print(json.dumps(facts, indent=1))
        return 0
    for note in facts["notes"]:
        print(note)
    print(f"{facts['parameters']:,} parameters, {facts['classes']} classes: {options.out}")
    return 0


def read_flags(path: Path | None, pairs: list[str]) -> dict[str, Any]:
    """Flags of a JSON file and of ``NAME=VALUE`` texts, which win.

    Raises:
        RecipeError: If the file is missing or no JSON object, or a text has no ``=``.
    """
    from aum_edge.errors import RecipeError

    flags: dict[str, Any] = {}
    if path is not None:
        try:
            flags = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise RecipeError(f"There is no flags file {path}: give a JSON object.") from error
        except (OSError, ValueError) as error:
            raise RecipeError(f"{path} is no JSON: {error}.") from error
        if not isinstance(flags, dict):
            raise RecipeError(f'{path} must hold a JSON object such as {{"n_class": 35}}.')
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise RecipeError(f"`--flag {pair}` must read NAME=VALUE, for example n_class=35.")
        flags[name] = value
    return flags
