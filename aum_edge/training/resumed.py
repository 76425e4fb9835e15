"""Run one Lightning task to its kept epoch, going on from where an earlier run stopped."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from aum_edge.training.checkpoint_io import read_checkpoint, resumable
from aum_edge.training.config import TrainConfig
from aum_edge.training.launch import barrier
from aum_edge.training.reached import Reached
from aum_edge.training.soup import SoupKeeper
from aum_edge.training.trainer import make_trainer


def train_to_end(
    task: L.LightningModule,
    data: L.LightningDataModule,
    config: TrainConfig,
    work_dir: Path,
    *,
    title: str,
    keep: Literal["best", "last"] = "best",
    quiet: bool = False,
) -> int:
    """Train ``task`` and leave it at the kept epoch, whose number (from 1) is returned.

    ``work_dir`` keeps last.ckpt and best.ckpt; ``keep`` says which of them counts. The epochs
    before a last.ckpt are not repeated. The task's ``model`` is on the CPU afterwards. ``quiet``
    shows no progress.

    Raises:
        RecipeError: If a logger is asked for that is not installed, or the machine has not what
            the settings need.
        CheckpointError: If the kept epoch's checkpoint is gone or damaged, or holds code.
        Stopped: If Ctrl-C or SIGTERM stops it; what was reached is kept for the next run.
    """
    progress = Reached(title, config.epochs, quiet)
    callbacks = [*_checkpoints(config, work_dir), progress]
    trainer = make_trainer(config, work_dir, title, callbacks, quiet)
    work_dir.mkdir(parents=True, exist_ok=True)
    last = resumable(work_dir / "last.ckpt")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)
        if trainer.interrupted:
            raise KeyboardInterrupt
    except (KeyboardInterrupt, SystemExit) as end:
        stop = progress.stopped(end)
        if stop is None:
            raise
        raise stop from None
    barrier()
    reached = read_checkpoint(work_dir / f"{keep}.ckpt", "state_dict", "epoch")
    task.cpu().requires_grad_(True)
    task.load_state_dict(reached["state_dict"])
    return int(reached["epoch"]) + 1


def _checkpoints(config: TrainConfig, work_dir: Path) -> list[Callback]:
    """best.ckpt when an epoch is the best so far, then last.ckpt after every epoch.

    Two callbacks: ``save_last`` of one writes last.ckpt only together with a new best.
    """
    best = ModelCheckpoint(
        dirpath=work_dir,
        filename="best",
        monitor=f"val/{config.monitor}",
        mode=config.monitor_mode,
        # Averaged weights take their place in whole checkpoints alone.
        save_weights_only=not config.ema_decay,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    last = ModelCheckpoint(
        dirpath=work_dir,
        filename="last",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    return [*([SoupKeeper(work_dir, config)] if config.keep == "soup" else []), best, last]
