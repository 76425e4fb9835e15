"""The mean of one training's best epochs, as one network."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from aum_edge.training.config import TrainConfig
from aum_edge.training.history import Row

log = logging.getLogger(__name__)


class SoupKeeper(Checkpoint):
    """Keeps the weights of the best epochs so far, ``soup-<epoch>.pt`` each.

    Which they are follows from the history alone, so a resumed run keeps the same ones. A file
    that is no longer needed goes when the next epoch starts: until then the checkpoint that a
    killed run goes on from may still count on it. Being a ``Checkpoint``, it is called after the
    task has written the epoch into its history.
    """

    def __init__(self, work_dir: Path, config: TrainConfig) -> None:
        self._work_dir = work_dir
        self._config = config

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take away what is no longer among the best."""
        task: Any = pl_module
        if trainer.is_global_zero:
            kept = {ingredient(self._work_dir, epoch) for epoch in self._best(task.history)}
            for path in set(self._work_dir.glob("soup-*.pt")) - kept:
                path.unlink(missing_ok=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the epoch if it is among the best."""
        task: Any = pl_module
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and epoch in self._best(task.history):
            state = {"model": task.model.state_dict()}
            AtomicCheckpointIO().save_checkpoint(state, ingredient(self._work_dir, epoch))

    def _best(self, history: Sequence[Row]) -> tuple[int, ...]:
        return best_epochs(history, self._config)


def best_epochs(history: Sequence[Row], config: TrainConfig) -> tuple[int, ...]:
    """Numbers (from 1) of the ``soup_size`` best epochs, best first; of equals the earlier."""
    sign = 1 if config.monitor_mode == "min" else -1
    ranked = sorted(history, key=lambda row: (sign * row[f"val_{config.monitor}"], row["epoch"]))
    return tuple(int(row["epoch"]) for row in ranked[: config.soup_size])


def cook(model: AudioClassifier, work_dir: Path, epochs: Sequence[int]) -> None:
    """Give ``model`` the mean of these epochs' weights; its batch norms have none of their own yet.

    Source: the uniform soup of Wortsman et al., arXiv 2203.05482, over one training's epochs.

    Raises:
        CheckpointError: If the weights of an epoch are gone or damaged.
    """
    parts = [read_checkpoint(ingredient(work_dir, epoch), "model")["model"] for epoch in epochs]
    model.load_state_dict({name: _mean([part[name] for part in parts]) for name in parts[0]})


def ingredient(work_dir: Path, epoch: int) -> Path:
    """Where the weights of one epoch are kept."""
    return work_dir / f"soup-{epoch:04d}.pt"


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """In float64, so that the order does not matter; counters are the best epoch's."""
    first = tensors[0]
    if not first.is_floating_point():
        return first
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(first.dtype)
