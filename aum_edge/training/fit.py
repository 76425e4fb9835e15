"""Train one model to its best epoch, resumably."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.batch import with_batches_of
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.setup import (
    Distillation,
    compare_with_teachers,
    needs_waveforms,
    plan_distillation,
    teacher_score,
)
from aum_edge.training.loop.history import OnEpoch, Row
from aum_edge.training.loop.memory_format import channels_last
from aum_edge.training.loop.resume import train_to_end
from aum_edge.training.loop.weight_averaging import (
    average_checkpoints,
    best_epochs,
    recompute_batch_norms,
)
from aum_edge.training.optim.freezing import apply_freeze, count_trained
from aum_edge.training.task import ClassificationTask

log = logging.getLogger(__name__)
MULTI_LABEL = ("map", "mean_auc", "d_prime", "loss")


@dataclass(frozen=True)
class FitResult:
    """The model that was kept, and every epoch's numbers."""

    model: AudioClassifier
    history: list[Row]
    best_epoch: int
    """The epoch whose weights these are; of a soup, the best one in it."""
    soup: tuple[int, ...] = ()
    """The epochs whose weights were averaged."""
    teacher_val: float | None = None
    """The teachers' common validation value of ``monitor``, where there are teachers."""


def fit(
    model: AudioClassifier,
    data: AudioData,
    config: TrainConfig,
    work_dir: Path,
    *,
    seed: int = 0,
    title: str = "training",
    distillation: Distillation | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitResult:
    """Train ``model`` in place on ``data`` and return it with the weights that ``keep`` says.

    ``work_dir`` keeps last.ckpt, best.ckpt and history.csv. When it already holds a last.ckpt the
    run goes on after that epoch and ends as one that was never stopped. Several processes share
    the folder; the first one writes. ``on_epoch`` takes the place of the progress shown; what it
    raises ends the training and comes out here.

    Raises:
        RecipeError: If settings do not fit the data, teachers, network or machine.
        DataError: If a file of row weights does not fit the training rows.
        KeyboardInterrupt: If the user stops it; what was reached is kept for the next run.
    """
    data = with_batches_of(data, config, needs_waveforms(distillation, model))
    _check_labels(data, config)
    plan = plan_distillation(distillation, model, data, config, seed) if distillation else None
    if plan:
        data = data.derive(plan=replace(data.plan, repeat=plan.targets.rounds))
    task = ClassificationTask(
        model,
        config,
        seed=seed,
        plan=plan,
        history_file=work_dir / "history.csv",
        on_epoch=on_epoch,
    )
    epoch = _train(task, data, work_dir, title)
    soup = _soup(task, data, work_dir, title) if config.keep == "soup" else ()
    score = teacher_score(distillation, data, config) if distillation else None
    if score is not None:
        compare_with_teachers(score, task.history, config, title)
    return FitResult(model.eval(), task.history, epoch, soup, score)


def _train(task: ClassificationTask, data: AudioData, work_dir: Path, title: str) -> int:
    """All epochs; the task is left at the one that is kept, whose number is returned."""
    config, quiet = task.config, task.on_epoch is not None
    level = logging.DEBUG if quiet else logging.INFO
    log.log(level, "%s: %s", title, _what_trains(task.model, config))
    keep: Literal["best", "last"] = "last" if config.keep == "last" else "best"
    faster = config.memory_format == "channels_last"
    with channels_last(task.model.backbone) if faster else nullcontext():
        return train_to_end(task, data, config, work_dir, title=title, keep=keep, quiet=quiet)


def _soup(task: ClassificationTask, data: AudioData, work_dir: Path, title: str) -> tuple[int, ...]:
    """Give the model the mean of its best epochs and recompute its batch-norm statistics."""
    epochs = best_epochs(task.history, task.config)
    average_checkpoints(task.model, work_dir, epochs)
    # Layers that stayed frozen keep theirs.
    apply_freeze(task.model.backbone, task.config.freeze, task.config.epochs)
    recompute_batch_norms(task.model, data.arrays["train"], task.config.batch_size, task.seed)
    task.model.requires_grad_(True)
    log.info("%s: the weights are the mean over epochs %s", title, ", ".join(map(str, epochs)))
    return epochs


def _check_labels(data: AudioData, config: TrainConfig) -> None:
    if data.arrays["train"].targets is None:
        return
    if config.loss != "bce":
        raise RecipeError(
            f"`loss: {config.loss}` is for one label a clip, and clips of this corpus have "
            "several: give `loss: bce`."
        )
    if config.monitor not in MULTI_LABEL:
        raise RecipeError(
            f"`monitor: {config.monitor}` does not exist for clips with several labels: give one "
            f"of {', '.join(MULTI_LABEL)}."
        )


def _what_trains(model: AudioClassifier, config: TrainConfig) -> str:
    trained, everything = count_trained(model)
    if trained == everything:
        return f"all {everything:,} parameters train"
    after = f", all from epoch {config.freeze.epochs + 1}" if config.freeze.epochs else ""
    return f"{trained:,} of {everything:,} parameters train{after}"
