"""Pretrain one encoder, resumably."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from aum_edge.data.unlabelled import UnlabelledAudio
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.checkpoint_io import resumable
from aum_edge.training.config import TrainConfig
from aum_edge.training.history import Row
from aum_edge.training.launch import barrier
from aum_edge.training.pretrain_config import PretrainConfig
from aum_edge.training.pretrain_task import MaskedPatchTask
from aum_edge.training.trainer import make_trainer


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
    title: str = "pretraining",
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
    settings = _training(config)
    task = MaskedPatchTask(model, config, seed=seed, history_file=work_dir / "history.csv")
    best = ModelCheckpoint(
        dirpath=work_dir,
        filename="best",
        monitor=f"val/{config.monitor}",
        mode=settings.monitor_mode,
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = make_trainer(settings, work_dir, title, best)
    work_dir.mkdir(parents=True, exist_ok=True)
    last = resumable(work_dir / "last.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=False)
    if trainer.interrupted:
        raise KeyboardInterrupt
    barrier()
    reached = torch.load(work_dir / f"{config.keep}.ckpt", map_location="cpu", weights_only=False)
    model.cpu().requires_grad_(True)
    task.load_state_dict(reached["state_dict"])
    return PretrainResult(model.eval(), task.history, int(reached["epoch"]) + 1)


def _training(config: PretrainConfig) -> TrainConfig:
    """What the trainer has to know, in the words of any other training."""
    return TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        gradient_clip=config.gradient_clip,
        monitor=config.monitor,
        precision=config.precision,
        trainer=config.trainer,
    )
