"""`aum-edge search RECIPE`: models of the student family under a budget, with a Pareto front."""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aum_edge.cli.options import add_recipe_options
from aum_edge.core.progress import Progress, stderr_progress
from aum_edge.errors import AumEdgeError, SearchError

if TYPE_CHECKING:
    from aum_edge.search.context import SearchContext
    from aum_edge.search.study.study import SharedStudy

log = logging.getLogger(__name__)
CLEAR = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_recipe_options(parser, "recipes/search_*.yaml")
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="trials to finish in all, over every process; 0 writes the report of what there is, "
        "without the storage",
    )
    parser.add_argument(
        "--storage",
        default="",
        metavar="URL",
        help="what processes share: a journal file or sqlite:///FILE (default: a journal in --out)",
    )
    parser.add_argument("--json", action="store_true", help="print the whole report as JSON")


def run(options: argparse.Namespace) -> int:
    """Search; prints the front and the report's path."""
    from aum_edge.pipeline.read_recipe import load_recipe_as
    from aum_edge.search.config import SearchRecipe

    changes = list(options.set)
    if options.trials is not None:
        changes.append(f"trials={options.trials}")
    # A wrong recipe is refused before optuna, torch and the rest are imported.
    recipe = load_recipe_as(SearchRecipe, options.recipe, changes)
    if importlib.util.find_spec("optuna") is None:
        raise SearchError("`aum-edge search` needs Optuna: pip install 'aum-edge[search]'.")
    from aum_edge.search.context import SearchContext
    from aum_edge.search.loop import open_search, work_on
    from aum_edge.search.records import read_records

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = options.out or Path("runs") / recipe.name
    cache = options.cache or out.parent / "cache"
    if recipe.trials == 0:
        if not read_records(out):
            # Its key depends on the teacher, which a report must not train.
            raise SearchError(
                f"{out} holds no trials to report: run the search without --trials 0."
            )
        return _report(SearchContext(recipe, out, cache, stderr_progress()), None, options.json)
    search = open_search(recipe, out, cache, options.storage, stderr_progress())
    search.progress = _bar()
    try:
        work_on(search)
    except AumEdgeError:
        # What is finished is on disk: a report of it is worth more than none.
        _kept(search.context)
        raise
    except KeyboardInterrupt:
        log.info("stopped; finished trials are kept in %s", out / "trials")
        raise
    return _report(search.context, search.study, options.json)


def _report(context: SearchContext, study: SharedStudy | None, as_json: bool) -> int:
    from aum_edge.report.search.build import write_search_report
    from aum_edge.search.loop import all_records
    from aum_edge.search.summary import summarise

    where = study.where if study else "none: made from the records in the run folder"
    report = summarise(context, all_records(context, study), where)
    file = write_search_report(report, context.out / "report")
    if as_json:
        print(json.dumps(report, indent=1))
        return 0
    for line in _lines(report):
        print(line)
    print(f"Report: {file}")
    return 0


def _kept(context: SearchContext) -> None:
    from aum_edge.report.search.build import write_search_report
    from aum_edge.search.records import read_records
    from aum_edge.search.summary import summarise

    records = [record for record in read_records(context.out) if record.key == context.key]
    if any(record.state == "complete" for record in records):
        report = summarise(context, records, "lost: made from the records in the run folder")
        log.info(
            "report of what is finished: %s", write_search_report(report, context.out / "report")
        )


def _lines(report: dict[str, Any]) -> list[str]:
    counts = report["counts"]
    head = (
        f"{counts['complete']} trials trained, {counts['pruned']} ended early, "
        f"{counts['rejected']} rejected before training; {len(report['front'])} on the front:"
    )
    rows = [
        f"  trial {row['number']}: {100 * row['accuracy']:.1f} %, {row['macs'] / 1e6:.2f} M MACs, "
        f"{row['bytes'] / 1e3:.1f} kB"
        for row in report["front"]
    ]
    return [head, *rows]


def _bar() -> Progress | None:
    """A bar on a terminal, where lines of the log clear it first; elsewhere the lines alone."""
    if not sys.stderr.isatty():
        return None

    def clear(record: logging.LogRecord) -> bool:
        print(CLEAR, end="", file=sys.stderr)
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(clear)
    return stderr_progress()
