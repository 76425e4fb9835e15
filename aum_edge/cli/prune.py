"""`aum-edge prune RECIPE` up to the pruned student, or `prune MODEL OUT` for one model."""

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
from aum_edge.core.progress import stderr_progress
from aum_edge.errors import RecipeError

LIMITS = {
    "macs_share": "limit as a share of the model's MACs",
    "bytes_share": "limit as a share of its int8 bytes",
    "max_macs": "limit in exact MACs of one clip",
    "max_bytes": "limit in bytes once quantized",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    run_command.add_arguments(parser, "RECIPE|MODEL")
    add_model_options(parser, "PruneConfig; without --data importance is that of the weights alone")
    for name, text in LIMITS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="N", help=f"MODEL OUT: {text}")


def run(options: argparse.Namespace) -> int:
    """Prune a model, or run the recipe's stages up to pruning."""
    given = [f"{name}={getattr(options, name)}" for name in LIMITS if getattr(options, name)]
    if not options.recipe.is_dir():
        check_recipe_options(options)
        if given:
            raise RecipeError(
                f"`--{given[0].partition('=')[0].replace('_', '-')}` is for MODEL OUT; a recipe "
                f"takes --set prune.cut.{given[0]}."
            )
        return run_command.run(options)
    from aum_edge.compression.pruning.config import PruneConfig
    from aum_edge.pipeline.read_recipe import settings_as

    target, config = model_target(options), settings_as(PruneConfig, [*options.set, *given])
    limits = (config.max_macs, config.max_bytes, config.macs_share, config.bytes_share)
    if limits == (None, None, None, None):
        raise RecipeError("Say how small: give --macs-share, --bytes-share, --max-macs or more.")
    from aum_edge.api.compression import prune
    from aum_edge.models.storage.directory import save

    model = model_at(options.recipe, target)
    data = data_for(model, options) if options.data else None
    save(prune(model, config, data, stderr_progress()), target)
    print(target)
    return 0
