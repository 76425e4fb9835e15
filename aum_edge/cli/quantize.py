"""`aum-edge quantize RECIPE` up to the int8 student, or `quantize MODEL OUT` for one model."""

from __future__ import annotations

import argparse

from aum_edge.cli import run as run_command
from aum_edge.cli.options import (
    add_model_options,
    check_recipe_options,
    data_for,
    model_at,
    model_target,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    run_command.add_arguments(parser, "RECIPE|MODEL")
    add_model_options(parser, "QuantizeConfig; without --data weights alone are rounded")
    parser.add_argument("--method", help="MODEL OUT: how scales are chosen: max|mse")


def run(options: argparse.Namespace) -> int:
    """Quantize a model, or run the recipe's stages up to quantization."""
    if not options.recipe.is_dir():
        check_recipe_options(options)
        return run_command.run(options)
    from aum_edge.compression.quantization.config import QuantizeConfig
    from aum_edge.pipeline.read_recipe import settings_as

    method = [f"method={options.method}"] if options.method else []
    target, config = model_target(options), settings_as(QuantizeConfig, [*options.set, *method])
    from aum_edge.api.compression import quantize
    from aum_edge.models.storage.directory import save

    model = model_at(options.recipe, target)
    save(quantize(model, config, data_for(model, options) if options.data else None), target)
    print(target)
    return 0
