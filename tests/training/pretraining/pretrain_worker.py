"""One of two pretraining processes, as torchrun starts them; they meet by a file."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.distributed as dist

from aum_edge.cli.main import main
from aum_edge.pipeline.pretrain_recipe import PretrainRecipe
from aum_edge.pipeline.read_recipe import load_recipe_as
from aum_edge.pipeline.stages import pretrain


def run(rank: int, folder: Path) -> int:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2
    )
    results = []
    fit = pretrain.pretrain

    def kept(*arguments, **options):
        results.append(fit(*arguments, **options))
        return results[-1]

    pretrain.pretrain = kept
    recipe = load_recipe_as(PretrainRecipe, folder / "pre.yaml")
    code = main(["pretrain", str(folder / "pre.yaml"), "--out", str(folder / recipe.name)])
    (result,) = results
    torch.save(
        {"weights": result.model.state_dict(), "history": result.history},
        folder / f"rank-{rank}.pt",
    )
    return code


if __name__ == "__main__":
    raise SystemExit(run(int(sys.argv[1]), Path(sys.argv[2])))
