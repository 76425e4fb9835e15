"""`aum-edge distill RECIPE` up to the student, or `distill MODEL OUT --teacher T --data ...`."""

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
from aum_edge.errors import RecipeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    run_command.add_arguments(parser, "RECIPE|MODEL")
    add_model_options(parser, "train and distill, such as train.epochs=10, distill.kd_lambda=0.5")
    parser.add_argument(
        "--teacher", action="append", default=[], metavar="MODEL", help="may be given several times"
    )


def run(options: argparse.Namespace) -> int:
    """Distill into a model, or run the recipe's stages up to the student."""
    if not options.recipe.is_dir():
        check_recipe_options(options)
        if options.teacher:
            raise RecipeError("A recipe names its teachers: leave --teacher out.")
        return run_command.run(options)
    from aum_edge.pipeline.read_recipe import settings_as
    from aum_edge.pipeline.recipe import DistillSettings

    target, config = model_target(options), settings_as(DistillSettings, options.set)
    from aum_edge.api.training import distill
    from aum_edge.models.storage.directory import save

    if not options.teacher:
        raise RecipeError("`aum-edge distill MODEL OUT` needs a teacher: give --teacher MODEL.")
    student = model_at(options.recipe, target)
    data = data_for(student, options)
    save(distill(student, options.teacher, data, config.distill, config.train), target)
    print(target)
    return 0
