"""The Lightning trainer for a training's settings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    GradientAccumulationScheduler,
    RichProgressBar,
)
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.strategies import FSDPStrategy

from aum_edge.core.distributed import launched
from aum_edge.errors import RecipeError
from aum_edge.training.config import TrainConfig
from aum_edge.training.loop.checkpoint_io import AtomicCheckpointIO
from aum_edge.training.loop.history import EpochLines
from aum_edge.training.loop.weight_averaging import MovingAverage


def make_trainer(
    config: TrainConfig,
    work_dir: Path,
    title: str,
    checkpoints: Sequence[Callback],
    quiet: bool = False,
) -> L.Trainer:
    """A trainer that runs where the settings, or torchrun, say; ``quiet`` shows no progress.

    Raises:
        RecipeError: If precision, strategy or averaging need what this machine has not, or a
            logger is not installed.
    """
    for noisy in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    _check_hardware(config)
    devices, nodes = launched(config.trainer.devices, config.trainer.num_nodes)
    return L.Trainer(
        max_epochs=config.epochs,
        precision=config.precision,
        gradient_clip_val=config.gradient_clip or None,
        accelerator=config.trainer.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=_strategy(config),
        # Batches are shared out by data.sampler.EpochSampler itself.
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1 if config.batches.size_by_epoch else 0,
        callbacks=[*checkpoints, *_callbacks(config, "" if quiet else title)],
        plugins=[AtomicCheckpointIO()],
        logger=_loggers(config, work_dir),
        default_root_dir=work_dir,
        num_sanity_val_steps=0,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty() and not quiet,
        log_every_n_steps=10,
    )


def _check_hardware(config: TrainConfig) -> None:
    on_gpu = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    if config.trainer.accelerator == "gpu" and not on_gpu:
        raise RecipeError("`trainer.accelerator: gpu` needs a GPU and torch sees none: give cpu.")
    if config.precision == "16-mixed" and not on_gpu:
        raise RecipeError("`precision: 16-mixed` needs a GPU; on a CPU give bf16-mixed or 32-true.")
    if config.trainer.strategy == "fsdp":
        if not on_gpu:
            raise RecipeError("`trainer.strategy: fsdp` needs GPUs; on a CPU give ddp or auto.")
        if config.ema_decay or config.keep == "soup":
            raise RecipeError(
                "`ema_decay` and `keep: soup` need whole weights, which `trainer.strategy: fsdp` "
                "spreads: set it to 0 and keep best or last, or give ddp."
            )
    alone = launched(config.trainer.devices, config.trainer.num_nodes) == (1, 1)
    if not alone and config.freeze.epochs:
        raise RecipeError(
            f"`freeze.epochs` {config.freeze.epochs} works on one device alone: several share out "
            "gradients of what trains from the start. Train in two runs, the second with `init`."
        )


def _strategy(config: TrainConfig) -> Any:
    if config.trainer.strategy == "fsdp":
        # Whole weights in one file, as every other checkpoint of this project.
        return FSDPStrategy(state_dict_type="full")
    return config.trainer.strategy


def _callbacks(config: TrainConfig, title: str) -> list[Callback]:
    callbacks: list[Callback] = [EpochLines(title, config.monitor)] if title else []
    if title and sys.stderr.isatty():
        callbacks.append(RichProgressBar())
    if config.patience:
        watched, mode = f"val/{config.monitor}", config.monitor_mode
        callbacks.append(EarlyStopping(watched, patience=config.patience, mode=mode))
    if config.ema_decay:
        callbacks.append(MovingAverage(config.ema_decay, config.batch_size, seed=0))
    batches = config.batches
    table = {0: batches.accumulate, **batches.accumulate_by_epoch}
    if set(table.values()) != {1}:
        callbacks.append(GradientAccumulationScheduler(table))
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
