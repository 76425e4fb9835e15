"""Train one model to its best epoch, resumably."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.weight_averaging import EMAWeightAveraging
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.checkpoint_io import AtomicCheckpointIO, resumable
from aum_edge.training.config import DistillConfig, TrainConfig
from aum_edge.training.progress import progress_callback
from aum_edge.training.task import ClassificationTask, Row

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """A teacher's logits (n_train, C) on the training clips, in their order, and the loss."""

    config: DistillConfig
    logits: Tensor


@dataclass(frozen=True)
class FitResult:
    """The model at its best validation epoch, and every epoch's numbers."""

    model: AudioClassifier
    history: list[Row]
    best_epoch: int


def fit(
    model: AudioClassifier,
    data: AudioData,
    config: TrainConfig,
    work_dir: Path,
    *,
    seed: int = 0,
    title: str = "training",
    distillation: Distillation | None = None,
) -> FitResult:
    """Train ``model`` in place on ``data`` and return it at its best validation epoch.

    ``work_dir`` keeps last.ckpt, best.ckpt and history.csv. When it already holds a last.ckpt the
    run goes on after that epoch and ends with the same weights as one that was never stopped.

    Raises:
        RecipeError: If a logger is asked for that is not installed.
        KeyboardInterrupt: If the user stops it; what was reached is kept for the next run.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    task = ClassificationTask(
        model,
        config,
        seed=seed,
        distill=distillation.config if distillation else None,
        teacher_logits=distillation.logits if distillation else None,
        history_file=work_dir / "history.csv",
    )
    best = ModelCheckpoint(
        dirpath=work_dir,
        filename="best",
        monitor=f"val/{config.monitor}",
        mode="max" if config.monitor == "accuracy" else "min",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = _trainer(config, work_dir, [best, *_callbacks(config, title)])
    last = resumable(work_dir / "last.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=False)
    if trainer.interrupted:
        raise KeyboardInterrupt
    reached = torch.load(work_dir / "best.ckpt", weights_only=False)
    task.load_state_dict(reached["state_dict"])
    return FitResult(model.cpu().eval(), task.history, int(reached["epoch"]) + 1)


def _trainer(config: TrainConfig, work_dir: Path, callbacks: list[Callback]) -> L.Trainer:
    for noisy in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return L.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,
        gradient_clip_val=config.gradient_clip or None,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=_loggers(config, work_dir),
        default_root_dir=work_dir,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        log_every_n_steps=10,
    )


def _callbacks(config: TrainConfig, title: str) -> list[Callback]:
    callbacks: list[Callback] = [progress_callback(title)]
    if config.patience:
        mode = "max" if config.monitor == "accuracy" else "min"
        callbacks.append(
            EarlyStopping(f"val/{config.monitor}", patience=config.patience, mode=mode)
        )
    if config.ema_decay:
        callbacks.append(EMAWeightAveraging(decay=config.ema_decay))
    return callbacks


def _loggers(config: TrainConfig, work_dir: Path) -> list[Logger]:
    loggers: list[Logger] = []
    for name in config.loggers:
        try:
            if name == "tensorboard":
                loggers.append(TensorBoardLogger(work_dir, name="tensorboard", version=""))
            else:
                loggers.append(WandbLogger(save_dir=work_dir, offline=True))
        except ModuleNotFoundError as error:
            raise RecipeError(
                f"The logger `{name}` is not installed: install aum-edge[{name}] or take it out "
                "of `loggers`; history.csv is always written."
            ) from error
    return loggers
