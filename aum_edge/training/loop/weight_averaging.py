"""Weight averaging: a soup of the best epochs, and an exponential moving average."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.callbacks.weight_averaging import EMAWeightAveraging
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from aum_edge.data.features.cache import ClipArrays
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import TrainConfig
from aum_edge.training.loop.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from aum_edge.training.loop.history import Row

log = logging.getLogger(__name__)

MOST_BATCHES = 32
"""Some thousand clips are enough for precise statistics (Wu & Johnson, arXiv 2105.07576)."""


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Batch norms that keep running statistics and whose layer learns."""
    found = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return [
        norm
        for norm in found
        if norm.track_running_stats and (norm.weight is None or norm.weight.requires_grad)
    ]


@torch.no_grad()
def recompute_batch_norms(
    model: AudioClassifier, arrays: ClipArrays, batch_size: int, seed: int
) -> None:
    """Recompute batch-norm statistics on the training clips, not augmented.

    Batches are drawn from a shuffled split: a corpus lies class by class on disk, and the
    variance within batches of one class is too small. Only batch norms that learn change; the
    rest of the model runs as in use. Source: Izmailov et al., arXiv 1803.05407, section 3.2.
    """
    norms = batch_norms(model.backbone)
    if not norms:
        return
    training, momenta = model.training, [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        # None: the mean over all batches instead of a decaying one.
        norm.momentum = None
        norm.train()
    device = next(model.parameters()).device
    rows = np.random.default_rng(seed).permutation(len(arrays))
    for start in range(0, len(rows), batch_size)[:MOST_BATCHES]:
        batch = np.sort(rows[start : start + batch_size])
        if len(batch) > 1:
            features = np.array(arrays.features[batch], dtype=np.float32)
            model(torch.from_numpy(features).unsqueeze(1).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


class SoupCheckpoints(Checkpoint):
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
            kept = {checkpoint_path(self._work_dir, epoch) for epoch in self._best(task.history)}
            for path in set(self._work_dir.glob("soup-*.pt")) - kept:
                path.unlink(missing_ok=True)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the epoch if it is among the best."""
        task: Any = pl_module
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero and epoch in self._best(task.history):
            state = {"model": task.model.state_dict()}
            AtomicCheckpointIO().save_checkpoint(state, checkpoint_path(self._work_dir, epoch))

    def _best(self, history: Sequence[Row]) -> tuple[int, ...]:
        return best_epochs(history, self._config)


def best_epochs(history: Sequence[Row], config: TrainConfig) -> tuple[int, ...]:
    """Numbers (from 1) of the ``soup_size`` best epochs, best first; of equals the earlier."""
    sign = 1 if config.monitor_mode == "min" else -1
    ranked = sorted(history, key=lambda row: (sign * row[f"val_{config.monitor}"], row["epoch"]))
    return tuple(int(row["epoch"]) for row in ranked[: config.soup_size])


def average_checkpoints(model: AudioClassifier, work_dir: Path, epochs: Sequence[int]) -> None:
    """Give ``model`` the mean of these epochs' weights; its batch norms have none of their own yet.

    Source: the uniform soup of Wortsman et al., arXiv 2203.05482, over one training's epochs.

    Raises:
        CheckpointError: If the weights of an epoch are gone or damaged.
    """
    parts = [
        read_checkpoint(checkpoint_path(work_dir, epoch), "model")["model"] for epoch in epochs
    ]
    model.load_state_dict({name: _mean([part[name] for part in parts]) for name in parts[0]})


def checkpoint_path(work_dir: Path, epoch: int) -> Path:
    """Where the weights of one epoch are kept."""
    return work_dir / f"soup-{epoch:04d}.pt"


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """In float64, so that the order does not matter; counters are the best epoch's."""
    first = tensors[0]
    if not first.is_floating_point():
        return first
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(first.dtype)


class MovingAverage(EMAWeightAveraging):
    """Validates, and saves, averaged weights with batch-norm statistics of their own.

    An average of running statistics is not the statistics of averaged weights: of a young
    CP-Mobile they are so far off that it predicts at chance level. They are made anew before every
    validation, from at most ``MOST_BATCHES`` batches of the training clips.
    """

    def __init__(self, decay: float, batch_size: int, seed: int) -> None:
        super().__init__(decay=decay)
        self._batch_size = batch_size
        self._seed = seed

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the averaged weights in place; what is computed here goes back into the average."""
        super().on_validation_epoch_start(trainer, pl_module)
        task: Any = pl_module
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if self._average_model is not None:
            recompute_batch_norms(task.model, data.arrays["train"], self._batch_size, self._seed)
