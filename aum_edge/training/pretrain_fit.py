"""Pretrain one encoder, resumably."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from aum_edge.data.unlabelled import UnlabelledAudio
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.checkpoint_io import AtomicCheckpointIO, resumable
from aum_edge.training.history import Row
from aum_edge.training.pretrain_config import PretrainConfig
from aum_edge.training.pretrain_task import MaskedPatchTask
from aum_edge.training.progress import progress_callback


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

    Raises:
        RecipeError: If the clips have too few patches to hide as many as asked for.
        KeyboardInterrupt: If the user stops it; what was reached is kept for the next run.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    task = MaskedPatchTask(model, config, seed=seed, history_file=work_dir / "history.csv")
    best = ModelCheckpoint(
        dirpath=work_dir,
        filename="best",
        monitor=f"val/{config.monitor}",
        mode="max" if config.monitor == "accuracy" else "min",
        save_last=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = _trainer(config, work_dir, best, title)
    last = resumable(work_dir / "last.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=False)
    if trainer.interrupted:
        raise KeyboardInterrupt
    reached = torch.load(work_dir / f"{config.keep}.ckpt", map_location="cpu", weights_only=False)
    model.cpu()
    task.load_state_dict(reached["state_dict"])
    model.requires_grad_(True)
    return PretrainResult(model.eval(), task.history, int(reached["epoch"]) + 1)


def _trainer(
    config: PretrainConfig, work_dir: Path, best: ModelCheckpoint, title: str
) -> L.Trainer:
    for noisy in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return L.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,
        gradient_clip_val=config.gradient_clip or None,
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=config.strategy,
        use_distributed_sampler=False,
        callbacks=[best, progress_callback(title)],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        default_root_dir=work_dir,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
    )
