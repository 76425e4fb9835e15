"""The Lightning task: augmented clips in, class and teacher losses out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from aum_edge.audio.augment import Augment
from aum_edge.audio.frontend import FrontEnd
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import DistillConfig, TrainConfig
from aum_edge.training.losses import distillation_loss, mix_rows, one_hot, smooth
from aum_edge.training.optimizer import make_optimizer, make_schedule

Row = dict[str, float | int]


class ClassificationTask(L.LightningModule):
    """Trains an :class:`AudioClassifier`, from labels alone or from a teacher's logits as well.

    ``history`` holds one row an epoch; it is part of every checkpoint, so that a resumed run
    writes the same history.csv as one that was never stopped.
    """

    def __init__(
        self,
        model: AudioClassifier,
        config: TrainConfig,
        *,
        seed: int,
        distill: DistillConfig | None = None,
        teacher_logits: Tensor | None = None,
        history_file: Path | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.seed = seed
        self.distill = distill
        self.history: list[Row] = []
        self.history_file = history_file
        self.augment = Augment(config.augment, model.frontend)
        # Held in a list: neither a submodule nor a tensor, so it stays out of the checkpoints.
        self._aside = [FrontEnd(model.frontend)]
        self._teacher = None
        if distill is not None and teacher_logits is not None:
            self._teacher = torch.softmax(teacher_logits / distill.temperature, dim=1)
        self._generator = torch.Generator()
        self._sums: dict[str, float] = {}

    def on_train_epoch_start(self) -> None:
        """Every epoch draws from its own seed, so a resumed run repeats the uninterrupted one."""
        seed = self.seed * 1_000_003 + self.current_epoch
        self._generator.manual_seed(seed)
        torch.manual_seed(seed)
        self._sums = {"loss": 0.0, "n": 0.0}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step on an augmented batch."""
        features = self._features(batch)
        targets = one_hot(batch["y"], len(self.model.labels))
        features = self.augment.features(features, self._generator)
        features, targets, partner, lam = self.augment.mixup(features, targets, self._generator)
        logits = self.model(features)
        targets = smooth(targets, self.config.label_smoothing)
        if self._teacher is None or self.distill is None:
            loss = F.cross_entropy(logits, targets)
        else:
            soft = self._teacher[batch["index"].cpu()].to(logits)
            loss = distillation_loss(logits, targets, mix_rows(soft, partner, lam), self.distill)
        self._sums["loss"] += loss.item() * len(targets)
        self._sums["n"] += len(targets)
        return loss

    def _features(self, batch: dict[str, Tensor]) -> Tensor:
        if "x" in batch:
            return batch["x"]
        with torch.no_grad():
            waveform = self.augment.waveform(batch["waveform"], self._generator)
            front_end = self._aside[0].to(waveform.device)
            return front_end(waveform).unsqueeze(1)

    def on_validation_epoch_start(self) -> None:
        """Start the sums of one validation."""
        self._val = {"loss": 0.0, "hits": 0.0, "n": 0.0}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add one batch to the validation sums."""
        logits = self.model(batch["x"])
        self._val["loss"] += F.cross_entropy(logits, batch["y"], reduction="sum").item()
        self._val["hits"] += (logits.argmax(1) == batch["y"]).sum().item()
        self._val["n"] += len(batch["y"])

    def on_validation_epoch_end(self) -> None:
        """Log the validation under the names that checkpoints and early stopping watch."""
        n = self._val["n"]
        self.log("val/loss", self._val["loss"] / n, prog_bar=True)
        self.log("val/accuracy", self._val["hits"] / n, prog_bar=True)

    def on_train_epoch_end(self) -> None:
        """Add the epoch's row to the history; Lightning validates before this hook."""
        loss = self._sums["loss"] / max(1.0, self._sums["n"])
        self.log("train/loss", loss)
        row: Row = {
            "epoch": self.current_epoch + 1,
            "train_loss": round(loss, 6),
            "val_loss": round(self._val["loss"] / self._val["n"], 6),
            "val_accuracy": round(self._val["hits"] / self._val["n"], 6),
            "lr": self.trainer.optimizers[0].param_groups[0]["lr"],
        }
        self.history.append(row)
        if self.history_file is not None:
            write_history(self.history, self.history_file)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW and a learning rate that follows the steps."""
        optimizer = make_optimizer(self.model, self.config)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = make_schedule(optimizer, self.config, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The history travels with the checkpoint."""
        checkpoint["history"] = list(self.history)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up to the resumed epoch."""
        self.history = list(checkpoint["history"])


def write_history(history: list[Row], path: Path) -> None:
    """Write history.csv in one step, so that a kill never leaves half a file."""
    draft = path.with_suffix(".tmp")
    with draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    draft.replace(path)
