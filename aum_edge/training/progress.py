"""Progress of a training run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, RichProgressBar

log = logging.getLogger(__name__)


class EpochLines(Callback):
    """One log line an epoch, for logs and pipes."""

    def __init__(self, title: str) -> None:
        self.title = title

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say where the run is."""
        values: dict[str, Any] = trainer.callback_metrics
        log.info(
            "%s: epoch %d of %s, val accuracy %.3f, val loss %.3f",
            self.title,
            trainer.current_epoch + 1,
            trainer.max_epochs,
            float(values["val/accuracy"]),
            float(values["val/loss"]),
        )


def progress_callback(title: str) -> Callback:
    """A bar when stderr is a terminal, else a line an epoch."""
    return RichProgressBar() if sys.stderr.isatty() else EpochLines(title)
