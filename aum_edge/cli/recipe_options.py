"""Options of every command that works through a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_recipe_options(parser: argparse.ArgumentParser, which: str) -> None:
    """RECIPE, --out, --cache and --set; ``which`` says where there are such recipes."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help=f"a YAML file, see {which}")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/<recipe name>)")
    parser.add_argument("--cache", type=Path, help="feature cache (default: cache beside --out)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=V", help="change one recipe value"
    )
