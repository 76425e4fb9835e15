"""`aum-edge run RECIPE`, and `train`, `distill`, `prune`, `quantize RECIPE`: up to one stage."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aum_edge.cli.options import add_recipe_options
from aum_edge.core.progress import stderr_progress

UNTIL = {"train": "teacher", "distill": "distill", "prune": "prune", "quantize": "quantize"}


def add_arguments(parser: argparse.ArgumentParser, metavar: str = "RECIPE") -> None:
    """Options of the command."""
    add_recipe_options(parser, "recipes/", metavar)
    parser.add_argument("--from", dest="start", metavar="STAGE", help="redo this stage and on")


def run(options: argparse.Namespace) -> int:
    """Run the recipe; prints the report's path, or the last stage's folder."""
    from aum_edge.pipeline.read_recipe import load_recipe

    # A wrong recipe is refused before torch and the rest are imported, which takes seconds.
    recipe = load_recipe(options.recipe, options.set)
    from aum_edge.core.distributed import is_rank_zero
    from aum_edge.pipeline.run import Run, run_stages
    from aum_edge.pipeline.stages.registry import stages_of

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = options.out or Path("runs") / recipe.name
    cache = options.cache or out.parent / "cache"
    job = Run(recipe=recipe, out=out, cache_dir=cache, progress=stderr_progress())
    until = UNTIL.get(options.command)
    stages = run_stages(job, stages_of("run"), options.start, until)
    if not is_rank_zero():
        return 0
    if until is None:
        result = job.result("report")
        for line in result["verdict"]:
            print(line)
        print(f"Report: {out / 'report' / 'report.html'}")
    else:
        print(out / stages[-1]["name"])
    return 0
