"""Masked-patch pretraining of one encoder, resumable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aum_edge.data.subset import UnlabelledAudio
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import TrainConfig
from aum_edge.training.loop.history import Row
from aum_edge.training.loop.resume import train_to_end
from aum_edge.training.pretraining.config import PretrainConfig
from aum_edge.training.pretraining.task import MaskedPatchTask


@dataclass(frozen=True)
class PretrainResult:
    """The model at the epoch that is kept, and every epoch's numbers."""

    model: AudioClassifier
    history: list[Row]
    epoch: int


def pretrain(
    model: AudioClassifier,
    data: UnlabelledAudio,
    config: PretrainConfig,
    work_dir: Path,
    *,
    seed: int = 0,
) -> PretrainResult:
    """Train ``model``, around a masked-patch model, in place and return it at its kept epoch.

    ``work_dir`` keeps last.ckpt, best.ckpt and history.csv. When it already holds a last.ckpt the
    run goes on after that epoch and ends with the same weights as one that was never stopped.

    Several processes share the folder; the first one writes.

    Raises:
        RecipeError: If the clips have too few patches to hide as many as asked for, or the
            machine has not what the settings need.
        KeyboardInterrupt: If the user stops it; what was reached is kept for the next run.
    """
    task = MaskedPatchTask(model, config, seed=seed, history_file=work_dir / "history.csv")
    settings = _training(config)
    epoch = train_to_end(task, data, settings, work_dir, title="pretraining", keep=config.keep)
    return PretrainResult(model.eval(), task.history, epoch)


def _training(config: PretrainConfig) -> TrainConfig:
    """The trainer's part of the settings as a :class:`TrainConfig`."""
    return TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        gradient_clip=config.gradient_clip,
        monitor=config.monitor,
        precision=config.precision,
        trainer=config.trainer,
    )
