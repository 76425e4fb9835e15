"""`aum-edge compare RECIPE`: is a Mamba better than a CNN on these data?"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from aum_edge.cli.options import add_recipe_options
from aum_edge.errors import AumEdgeError, RecipeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_recipe_options(parser, "recipes/compare/*.yaml")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="runs at once, one thread each (default 1)"
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="where NAME.md and NAME.svg are written (default: --out)",
    )
    parser.add_argument(
        "--table", action="store_true", help="train nothing: write the page of what is done"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--unit", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Train what is missing, then write the page; exit code 1 if a run failed."""
    if options.jobs < 1:
        raise RecipeError(f"`--jobs` must be at least 1, got {options.jobs}.")
    from aum_edge.comparison.config import CompareRecipe
    from aum_edge.pipeline.read_recipe import load_recipe_as

    recipe = load_recipe_as(CompareRecipe, options.recipe, options.set)
    out = options.out or Path("runs") / recipe.name
    if options.unit:
        from aum_edge.comparison.runs import ComparisonRun
        from aum_edge.comparison.schedule import end_with_parent, read_task

        end_with_parent()
        ComparisonRun(recipe, out, *read_task(options.unit), _tenths, options.cache).work()
        return 0

    from aum_edge.comparison.page import as_document, write_page
    from aum_edge.comparison.schedule import Schedule
    from aum_edge.comparison.summary import finished

    results = options.results or out

    def write() -> Path | None:
        return write_page(recipe, finished(recipe, out), results, _command(options))

    failed = []
    if not options.table:
        schedule = Schedule(
            recipe=recipe,
            path=options.recipe,
            out=out,
            changes=options.set,
            cache=options.cache,
            jobs=options.jobs,
            report=_report,
            finished=write,
        )
        failed = schedule.work()
    page = write()
    if page is None:
        raise AumEdgeError(f"No run of the comparison in {out} is finished: there is no table yet.")
    if options.json:
        print(json.dumps(as_document(recipe, finished(recipe, out)), indent=1))
    else:
        print(page)
    return 1 if failed else 0


def _command(options: argparse.Namespace) -> str:
    """The command line, for the page."""
    words = ["aum-edge", "compare", str(options.recipe)]
    words += [word for value in options.set for word in ("--set", value)]
    return shlex.join(words)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _tenths(done: int, total: int, what: str) -> None:
    """Progress in the log of a run: ten lines a job."""
    if done == total or done % max(1, total // 10) == 0:
        _report(f"{what}: {done} of {total}")
