"""`aum-edge pretrain RECIPE`: an encoder from audio without labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from aum_edge.cli.options import add_recipe_options
from aum_edge.core.progress import stderr_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add_recipe_options(parser, "recipes/pretrain_*.yaml")
    parser.add_argument("--from", dest="start", metavar="STAGE", help="redo this stage and on")


def run(options: argparse.Namespace) -> int:
    """Pretrain; prints the numbers of the epoch that was kept and the encoder's folder."""
    from aum_edge.pipeline.pretrain_recipe import PretrainRecipe
    from aum_edge.pipeline.read_recipe import load_recipe_as

    recipe = load_recipe_as(PretrainRecipe, options.recipe, options.set)
    from aum_edge.core.distributed import is_rank_zero
    from aum_edge.pipeline.run import run_stages
    from aum_edge.pipeline.stages.pretrain import PretrainRun, check
    from aum_edge.pipeline.stages.registry import stages_of

    check(recipe)
    out = options.out or Path("runs") / recipe.name
    cache = options.cache or out.parent / "cache"
    job = PretrainRun(recipe=recipe, out=out, cache_dir=cache, progress=stderr_progress())  # type: ignore[arg-type]
    run_stages(job, stages_of("pretrain"), options.start)
    if not is_rank_zero():
        return 0
    result = job.result("pretrain")
    kept = result["kept"]
    print(
        f"Epoch {result['epoch']} of {len(result['history'])}: validation loss "
        f"{kept['val_loss']:.4f}, contrastive {kept['val_nce']:.4f} (accuracy "
        f"{100 * kept['val_accuracy']:.1f} %), generative {kept['val_mse']:.4f}"
    )
    print(out / "pretrain" / "model")
    return 0
