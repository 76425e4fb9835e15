"""`aum-edge train RECIPE` up to the teacher, or `train MODEL OUT --data CORPUS=DIR`: fine-tune."""

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
    add_model_options(parser, "TrainConfig, such as epochs=10 or lr=1e-3")


def run(options: argparse.Namespace) -> int:
    """Fine-tune a model, or run the recipe's stages up to the teacher."""
    if not options.recipe.is_dir():
        check_recipe_options(options)
        return run_command.run(options)
    from aum_edge.pipeline.read_recipe import settings_as
    from aum_edge.training.config import TrainConfig

    target, config = model_target(options), settings_as(TrainConfig, options.set)
    from aum_edge.api.training import fit
    from aum_edge.models.storage.directory import save

    model = model_at(options.recipe, target)
    save(fit(model, data_for(model, options), config), target)
    print(target)
    return 0
