"""A moving average of the weights, with batch norm statistics of its own."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks.weight_averaging import EMAWeightAveraging

from aum_edge.training.batch_norms import recompute_batch_norms


class MovingAverage(EMAWeightAveraging):
    """Validates, and saves, averaged weights whose batch norms have heard those weights.

    An average of running statistics is not the statistics of averaged weights: of a young
    CP-Mobile they are so far off that it answers at chance level. They are made anew before every
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
