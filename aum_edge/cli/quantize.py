"""`aum-edge quantize RECIPE` up to the int8 student, or `quantize MODEL OUT` for one model."""

from __future__ import annotations

import argparse
from pathlib import Path

from aum_edge.cli import run as run_command
from aum_edge.errors import RecipeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    run_command.add_arguments(parser)
    parser.add_argument("target", type=Path, nargs="?", metavar="OUT", help="new model directory")
    parser.add_argument("--method", default="mse", help="how scales are chosen: max|mse")


def run(options: argparse.Namespace) -> int:
    """Quantize a model directory, or run the recipe's stages up to quantization."""
    if not options.recipe.is_dir():
        return run_command.run(options)
    if options.target is None:
        raise RecipeError("Say where the int8 model goes: aum-edge quantize MODEL OUT.")
    from aum_edge.compression.quantization.config import QuantizeConfig
    from aum_edge.compression.quantization.quantize import quantize
    from aum_edge.models.classifier import load
    from aum_edge.models.storage.directory import save

    save(quantize(load(options.recipe), QuantizeConfig(method=options.method)), options.target)
    print(options.target)
    return 0
