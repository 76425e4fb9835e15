"""`--data NAME=DIR` and the settings that choose a corpus's splits."""

from __future__ import annotations

import argparse
from pathlib import Path

from aum_edge.data.config import DataConfig
from aum_edge.errors import RecipeError


def add_corpus_arguments(parser: argparse.ArgumentParser) -> None:
    """Which corpus, where, what its labels are, and what is held out."""
    parser.add_argument(
        "--data",
        required=True,
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


def add_recipe_options(parser: argparse.ArgumentParser, which: str) -> None:
    """RECIPE, --out, --cache and --set; ``which`` says where there are such recipes."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help=f"a YAML file, see {which}")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/<recipe name>)")
    parser.add_argument("--cache", type=Path, help="feature cache (default: cache beside --out)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=V", help="change one recipe value"
    )
