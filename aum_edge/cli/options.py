"""Options that several commands share: a corpus, a recipe, and a model instead of a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError

if TYPE_CHECKING:
    from aum_edge.data.datamodule import AudioData
    from aum_edge.models.classifier import AudioClassifier

CACHE = Path("runs/cache")
"""The feature cache of commands without a run folder."""


def add_corpus_arguments(parser: argparse._ActionsContainer, required: bool = True) -> None:
    """Which corpus, where, what its labels are, and what is held out."""
    parser.add_argument(
        "--data",
        required=required,
        default="",
        metavar="CORPUS=DIR",
        help="for example esc=DIR, fsdd=DIR, speech_commands=DIR, folder=DIR, manifest=FILE",
    )
    parser.add_argument("--test-file", default="", metavar="FILE", help="manifest: its test rows")
    parser.add_argument(
        "--labels", default="", metavar="CSV", help="index,mid,display_name: classes in order"
    )
    parser.add_argument(
        "--label-separator", default="", metavar="TEXT", help="manifest: between several labels"
    )
    parser.add_argument("--test-folds", default="", metavar="N,N", help="esc: folds held out")
    parser.add_argument("--test-speakers", default="", metavar="A,B", help="fsdd: held out")
    parser.add_argument("--subset", default="", help="tau2022: the training subset (split25)")


def corpus_config(options: argparse.Namespace) -> DataConfig:
    """The corpus that the options name."""
    name, _, root = options.data.partition("=")
    if not root and not (name == "manifest" and options.test_file):
        raise RecipeError(f"`--data {options.data}` must read CORPUS=DIR, for example esc=audio/.")
    try:
        folds = tuple(int(fold) for fold in options.test_folds.split(",") if fold)
    except ValueError as error:
        raise RecipeError(f"`--test-folds {options.test_folds}` must be numbers.") from error
    given = {
        "test_root": options.test_file,
        "label_file": options.labels,
        "label_separator": options.label_separator,
        "test_folds": folds,
        "test_speakers": tuple(name for name in options.test_speakers.split(",") if name),
        "subset": options.subset,
    }
    return DataConfig.of(name, root, **{key: value for key, value in given.items() if value})


def add_recipe_options(
    parser: argparse.ArgumentParser, which: str, metavar: str = "RECIPE"
) -> None:
    """RECIPE, --out, --cache and --set; ``which`` names recipes in the help."""
    add_recipe(parser, metavar, f"a YAML file, see {which}")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/<recipe name>)")
    parser.add_argument("--cache", type=Path, help="feature cache (default: cache beside --out)")


def add_recipe(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """A recipe and the values of it that are changed."""
    parser.add_argument("recipe", type=Path, metavar=metavar, help=text)
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=V", help="change one setting"
    )


def add_model_options(parser: argparse.ArgumentParser, settings: str) -> None:
    """OUT and a corpus, for a command that takes MODEL instead of RECIPE."""
    group = parser.add_argument_group(
        "with MODEL OUT", f"--set changes {settings}; data are read by the model's front end"
    )
    group.add_argument("target", type=Path, nargs="?", metavar="OUT", help="new model directory")
    add_corpus_arguments(group, required=False)


def model_target(options: argparse.Namespace) -> Path:
    """Where the new model goes.

    Raises:
        RecipeError: If there is none, or an option is for recipes alone.
    """
    if options.target is None:
        raise RecipeError(
            f"Say where the new model goes: aum-edge {options.command} {options.recipe} OUT."
        )
    for name in ("out", "start"):
        if getattr(options, name) is not None:
            option = {"start": "from"}.get(name, name)
            raise RecipeError(f"`--{option}` is for recipes: give MODEL OUT without it.")
    return Path(options.target)


def model_at(start: Path, target: Path) -> AudioClassifier:
    """The model of MODEL OUT; what stands at OUT is looked at before any work.

    Raises:
        CheckpointError: If the start is no model, or OUT is something else than a model.
    """
    from aum_edge.models.classifier import load
    from aum_edge.models.storage.directory import check_target

    check_target(target)
    return load(start)


def check_recipe_options(options: argparse.Namespace) -> None:
    """Refuse options of the form with a model where a recipe is given.

    Raises:
        RecipeError: If OUT or --data is given.
    """
    if options.target is not None or options.data:
        given = "OUT" if options.target is not None else "--data"
        raise RecipeError(
            f"{options.recipe} is no model directory, and `{given}` goes with a model: give a "
            "model or run directory, or a recipe alone."
        )


def data_for(model: AudioClassifier, options: argparse.Namespace) -> AudioData:
    """The corpus that the options name, with the features of the model.

    Raises:
        RecipeError: If no corpus is named.
    """
    from aum_edge.core.progress import stderr_progress
    from aum_edge.data.datamodule import AudioData

    if not options.data:
        raise RecipeError(
            f"`aum-edge {options.command} MODEL OUT` needs data: give --data CORPUS=DIR."
        )
    return AudioData(
        corpus_config(options),
        model.frontend,
        cache_dir=options.cache or CACHE,
        progress=stderr_progress(),
    )
