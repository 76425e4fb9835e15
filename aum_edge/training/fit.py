"""Train one model to its best epoch, resumably."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.batch_norms import recompute_batch_norms
from aum_edge.training.batches import in_rounds, with_batches_of
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation import Distillation as Distillation
from aum_edge.training.distillation import make_course, needs_waveforms
from aum_edge.training.freeze import apply_freeze, count_trained
from aum_edge.training.history import OnEpoch, Row
from aum_edge.training.memory_format import channels_last
from aum_edge.training.resumed import train_to_end
from aum_edge.training.soup import best_epochs, cook
from aum_edge.training.task import ClassificationTask
from aum_edge.training.teacher_check import compare, teacher_score

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

    Batches are those of ``config``, whatever ``data`` was made with. ``work_dir`` keeps last.ckpt,
    best.ckpt and history.csv. When it already holds a last.ckpt the run goes on after that epoch
    and ends with the same weights as one that was never stopped. Several processes share the
    folder; the first one writes. ``on_epoch`` takes the place of the progress shown; what it
    raises ends the training and comes out here.

    Raises:
        RecipeError: If settings do not fit the data, the network or the machine, or a logger is
            asked for that is not installed.
        DataError: If a file of row weights does not fit the training rows.
        KeyboardInterrupt: If the user stops it; what was reached is kept for the next run.
    """
    data = with_batches_of(data, config, needs_waveforms(distillation, model))
    _check_labels(data, config)
    course = make_course(distillation, model, data, config, seed) if distillation else None
    data = in_rounds(data, course.lessons.rounds) if course else data
    task = ClassificationTask(
        model,
        config,
        seed=seed,
        course=course,
        history_file=work_dir / "history.csv",
        on_epoch=on_epoch,
    )
    quiet = on_epoch is not None
    log.log(logging.DEBUG if quiet else logging.INFO, "%s: %s", title, _what_trains(model, config))
    keep: Literal["best", "last"] = "last" if config.keep == "last" else "best"
    faster = config.memory_format == "channels_last"
    with channels_last(model.backbone) if faster else nullcontext():
        epoch = train_to_end(task, data, config, work_dir, title=title, keep=keep, quiet=quiet)
    soup = best_epochs(task.history, config) if config.keep == "soup" else ()
    if soup:
        cook(model, work_dir, soup)
        log.info("%s: the weights are the mean over epochs %s", title, ", ".join(map(str, soup)))
        _settle(model, data, config, seed)
    score = teacher_score(distillation, data, config) if distillation else None
    if score is not None:
        compare(score, task.history, config, title)
    return FitResult(model.eval(), task.history, epoch, soup, score)


def _settle(model: AudioClassifier, data: AudioData, config: TrainConfig, seed: int) -> None:
    """Give averaged weights their own batch norm statistics, but for layers that stayed frozen."""
    apply_freeze(model.backbone, config.freeze, config.epochs)
    recompute_batch_norms(model, data.arrays["train"], config.batch_size, seed)
    model.requires_grad_(True)


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
