"""Every epoch's numbers, in a file that is whole at any time."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from aum_edge.core.files import write_text

log = logging.getLogger(__name__)
Row = dict[str, float | int]
OnEpoch = Callable[[Sequence[Row]], None]
"""Told every epoch's numbers so far, after each epoch; what it raises ends the training."""


def write_history(history: list[Row], path: Path) -> None:
    """Write history.csv in one step, so that a kill never leaves half a file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


class EpochLines(Callback):
    """One log line an epoch: loss, accuracy or mAP, and what the best epoch is chosen by."""

    def __init__(self, title: str, monitor: str = "") -> None:
        self.title = title
        self.monitor = monitor

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch's numbers, on rank zero alone."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        shown = ["accuracy" if "val/accuracy" in values else "map", "loss"]
        if self.monitor and self.monitor not in shown:
            shown.append(self.monitor)
        parts = [
            f"val {name.replace('_', ' ')} {values[f'val/{name}']:.3f}"
            for name in shown
            if f"val/{name}" in values
        ]
        if trainer.is_global_zero:
            epoch = trainer.current_epoch + 1
            log.info(
                "%s: epoch %d of %s, %s", self.title, epoch, trainer.max_epochs, ", ".join(parts)
            )
