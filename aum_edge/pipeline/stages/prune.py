"""The pruning stage: cut a little, recover a little, until bytes and MACs are both met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.pruning.cost import Cost, model_cost
from aum_edge.compression.pruning.greedy import Price
from aum_edge.compression.pruning.importance import Batch
from aum_edge.compression.pruning.prune import (
    BudgetSchedule,
    check_prunable,
    lineage,
    prune_along,
    target_of,
)
from aum_edge.compression.pruning.sensitivity import sensitivity
from aum_edge.core.distributed import broadcast, is_rank_zero, rank_zero_first, require_launch
from aum_edge.core.files import read_json, write_json
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.data import training_batches
from aum_edge.pipeline.stages.train import distillation, keep, scores
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit
from aum_edge.training.metrics.classification import evaluate


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every round of one run has in common."""

    run: Run
    clips: Sequence[Batch]
    start: Cost
    target: Cost
    price: Price
    teachers: Distillation

    @property
    def settings(self) -> PruneConfig:
        """How to cut."""
        return self.run.recipe.prune.cut


def prune_student(run: Run, folder: Path) -> dict[str, Any]:
    """Cut the student to the recipe's target in rounds, each with a recovery by distillation.

    Every round has a folder of its own, with the cut and the recovered model: a stage that was
    killed goes on in the round, and in the epoch, where it was.

    Raises:
        CompressionError: the target is out of reach; the smallest reachable is named.
    """
    settings = run.recipe.prune
    require_launch(settings.recover.trainer.devices, settings.recover.trainer.num_nodes)
    whole = run.model("distill")
    clips = list(training_batches(run.data, run.recipe.seed))
    start = model_cost(whole)
    target = target_of(settings.cut, start)
    price = check_prunable(whole, settings.cut, target)
    teachers = distillation(run)
    task = Task(run=run, clips=clips, start=start, target=target, price=price, teachers=teachers)
    curves = _curves(task, whole, folder)
    model, rows = whole, []
    history: list[dict[str, Any]] = []
    for number in range(1, settings.cut.rounds + 1):
        model, row, epochs = _round(task, model, number, folder / f"round-{number}")
        rows.append(row)
        history += [{**epoch, "epoch": len(history) + i} for i, epoch in enumerate(epochs, 1)]
    pruned = whole.with_backbone(model.backbone, lineage(whole, model, settings.cut, target))
    keep(pruned.eval(), folder / "model")
    return {
        "val_accuracy_before_recovery": rows[-1]["val_accuracy_cut"],
        **scores(run, pruned),
        "target": {"macs": _finite(target.macs), "int8_bytes": _finite(target.bytes)},
        "unpruned": {**_costs(whole), "val_accuracy": _accuracy(run, whole)},
        "rounds": rows,
        "sensitivity": curves,
        "history": history,
    }


def _round(
    task: Task, model: AudioClassifier, number: int, folder: Path
) -> tuple[AudioClassifier, dict[str, Any], list[dict[str, Any]]]:
    """The model after one round, what happened in it, and the epochs of its recovery."""
    done = folder / "round.json"
    if broadcast(done.exists()):
        record = read_json(done)
        return load(folder / "model"), record["row"], record["history"]
    cut = _cut(task, model, number, folder)
    row = {"round": number, **_costs(cut), "val_accuracy_cut": _accuracy(task.run, cut)}
    result = fit(
        cut,
        task.run.data,
        _recovery(task, number),
        folder / "fit",
        seed=task.run.recipe.seed + number - 1,
        title=f"pruned student, round {number} of {task.settings.rounds}",
        distillation=task.teachers,
    )
    row["val_accuracy"] = _accuracy(task.run, result.model)
    keep(result.model, folder / "model")
    if is_rank_zero():
        write_json(done, {"row": row, "history": result.history})
    return result.model, row, result.history


def _cut(task: Task, model: AudioClassifier, number: int, folder: Path) -> AudioClassifier:
    """The round's cut, made once and by one process, so that all go on from the same weights."""
    rounds = task.settings.rounds
    schedule = BudgetSchedule(
        start=task.start,
        target=task.target,
        first=(number - 1) / rounds,
        last=number / rounds,
        price=task.price,
    )
    with rank_zero_first():
        if not (folder / "cut").exists():
            small = prune_along(model, task.settings, task.clips, schedule, task.run.progress)
            keep(small.eval(), folder / "cut")
    return load(folder / "cut")


def _recovery(task: Task, number: int) -> TrainConfig:
    """Short between two rounds, as the recipe says after the last."""
    recover = task.run.recipe.prune.recover
    last = number == task.settings.rounds
    return recover if last else replace(recover, epochs=task.settings.round_epochs)


def _curves(task: Task, whole: AudioClassifier, folder: Path) -> list[dict[str, Any]]:
    """Sensitivity of the unpruned student, measured once."""
    path = folder / "sensitivity.json"
    wanted = task.settings.curve_clips
    if not wanted or not is_rank_zero():
        return []
    if not path.exists():
        few = _first(task.clips, wanted)
        rows = sensitivity(
            whole, few, importance=task.settings.importance, progress=task.run.progress
        )
        write_json(path, {"rows": rows})
    return list(read_json(path)["rows"])


def _first(clips: Sequence[Batch], count: int) -> list[Batch]:
    """The first ``count`` clips."""
    found, left = [], count
    for inputs, targets in clips:
        if left > 0:
            found.append((inputs[:left], targets[:left]))
            left -= len(inputs)
    return found


def _costs(model: AudioClassifier) -> dict[str, int]:
    cost = model_cost(model)
    return {"macs": round(cost.macs), "int8_bytes": round(cost.bytes)}


def _accuracy(run: Run, model: AudioClassifier) -> float | None:
    arrays = run.data.arrays["val"]
    return evaluate(model, arrays, run.data.labels, model.activation).accuracy


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value


STAGES = (
    Stage(
        name="prune",
        needs=("distill", "teacher"),
        settings=lambda r: {"seed": r.seed, "prune": asdict(r.prune)},
        work=prune_student,
        trains=True,
    ),
)
