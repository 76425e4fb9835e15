"""Compression stages: pruning with recovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aum_edge.compression.prune import prune
from aum_edge.pipeline import Run
from aum_edge.stages.corpus import training_batches
from aum_edge.stages.learning import distillation, keep, scores
from aum_edge.training.fit import fit
from aum_edge.training.launch import require_launch
from aum_edge.training.metrics import evaluate


def prune_student(run: Run, folder: Path) -> dict[str, Any]:
    """Cut the student to the recipe's target, then let it recover by distillation."""
    settings = run.recipe.prune
    require_launch(settings.recover.trainer.devices, settings.recover.trainer.num_nodes)
    cut = prune(run.model("distill"), settings.cut, list(training_batches(run)))
    before = evaluate(cut, run.data.arrays["val"], run.data.labels, cut.activation).accuracy
    result = fit(
        cut,
        run.data,
        settings.recover,
        folder / "fit",
        seed=run.recipe.seed,
        title="pruned student",
        distillation=distillation(run),
    )
    keep(result.model, folder / "model")
    return {
        "val_accuracy_before_recovery": before,
        **scores(run, result.model),
        "history": result.history,
    }
