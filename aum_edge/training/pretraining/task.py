"""Lightning module of masked-patch pretraining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.pipeline import Augment
from aum_edge.models.architectures.masked_patch import MaskedPatchModel
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.loop.history import Row, write_history
from aum_edge.training.pretraining.config import PretrainConfig
from aum_edge.training.pretraining.loss import MaskedPatchLoss, masked_patch_loss
from aum_edge.training.pretraining.masking import MaskSampler

HALF = 0.5
THRESHOLD = 1e-4
"""Relative gain below which an epoch is no better."""
NAMES = ("total", "nce", "accuracy", "mse")
VALIDATION_SEED = 20_240_517
"""Masks of the validation are the same in every epoch and every run."""


class PretrainSchedule:
    """Factor of the peak learning rate; called with the step.

    Warm-up is linear. ``plateau`` counts epochs as ``torch.optim.lr_scheduler.ReduceLROnPlateau``
    does: when more than ``plateau_patience`` in a row are no better, the rate is halved.
    """

    def __init__(self, config: PretrainConfig, total_steps: int) -> None:
        self.config = config
        self.total = max(1, total_steps)
        self.warm = config.warmup_steps or max(1, round(0.1 * total_steps))
        self.factor = 1.0
        self.best = math.inf
        self.waited = 0

    def __call__(self, step: int) -> float:
        """Of steps from 0."""
        warm = min(1.0, (step + 1) / self.warm)
        if self.config.schedule == "plateau":
            return warm * self.factor
        done = min(1.0, max(0, step - self.warm) / max(1, self.total - self.warm))
        final = self.config.final_lr
        return warm * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))

    def epoch_ended(self, loss: float) -> None:
        """Take note of an epoch's monitored value, smaller being better."""
        if loss < self.best - THRESHOLD * abs(self.best if self.best < math.inf else 0.0):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.config.plateau_patience:
            self.factor *= HALF
            self.waited = 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.factor, self.best, self.waited = state["factor"], state["best"], state["waited"]


class MaskedPatchTask(L.LightningModule):
    """Trains the masked-patch model inside an :class:`AudioClassifier` without labels.

    ``history`` holds one row an epoch; it is part of every checkpoint, so that a resumed run
    writes the same history.csv as one that was never stopped.

    Raises:
        RecipeError: If the grid of patches has too few to hide as many as asked for.
    """

    def __init__(
        self,
        model: AudioClassifier,
        config: PretrainConfig,
        *,
        seed: int,
        history_file: Path | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.seed = seed
        self.history: list[Row] = []
        self.history_file = history_file
        self._generator = torch.Generator()
        variation = AugmentConfig(roll_seconds=config.roll_seconds, mixstyle_p=0.0)
        self._augment = Augment(variation, model.frontend)
        self._masks = self._sampler()
        self._val_masks = self._sampler()
        self._schedule_state: dict[str, Any] = {}
        # What has no part in the objective has no gradient, which several processes insist on.
        self._network.cpredlayer.requires_grad_(config.objective != "generative")
        self._network.gpredlayer.requires_grad_(config.objective != "contrastive")

    @property
    def _network(self) -> MaskedPatchModel:
        network = self.model.backbone
        assert isinstance(network, MaskedPatchModel)
        return network

    def _sampler(self) -> MaskSampler:
        config = self.config
        return MaskSampler(
            self._network.encoder.grid,
            config.masked_patches,
            rule=config.masks,
            shape=config.mask_shape,
        )

    def on_train_epoch_start(self) -> None:
        """Start the sums of one epoch."""
        self._sums = _Sums()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Every epoch draws from its own seed, so a resumed run repeats the uninterrupted one.

        Not at the start of the epoch: a loader draws from torch's own source when it starts, which
        is before that hook in some epochs and after it in others.
        """
        if batch_idx:
            return
        seed = (self.seed * 1_000_003 + self.current_epoch) * 1_009 + self.global_rank
        self._generator.manual_seed(seed)
        self._masks.seed(seed)
        torch.manual_seed(seed)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step on clips with fresh masks."""
        features = self._augment.features(batch["x"], self._generator)
        loss = self._loss(features, self._masks)
        self._sums.add(loss, len(features))
        return loss.total

    def on_validation_epoch_start(self) -> None:
        """Start the sums of one validation, with the masks of every validation."""
        self._val_masks.seed(VALIDATION_SEED + self.global_rank)
        self._val = _Sums()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add one batch to the validation sums."""
        self._val.add(self._loss(batch["x"], self._val_masks), len(batch["x"]))

    def on_validation_epoch_end(self) -> None:
        """Log the validation under the names that checkpoints watch."""
        values = self._over_processes(self._val)
        self.log("val/loss", values["total"], prog_bar=True)
        self.log("val/accuracy", values["accuracy"], prog_bar=True)
        self._val_values = values

    def on_train_epoch_end(self) -> None:
        """Add the epoch's row to the history; Lightning validates before this hook."""
        train, val = self._over_processes(self._sums), self._val_values
        watched = val["total"] if self.config.monitor == "loss" else -val["accuracy"]
        self._schedule.epoch_ended(watched)
        row: Row = {"epoch": self.current_epoch + 1}
        for split, values in (("train", train), ("val", val)):
            for name in NAMES:
                column = "loss" if name == "total" else name
                row[f"{split}_{column}"] = round(values[name], 6)
        row["lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.history.append(row)
        if self.history_file is not None and self.trainer.is_global_zero:
            write_history(self.history, self.history_file)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW and a learning rate that follows the steps."""
        config = self.config
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer = AdamW(
            trained, lr=config.lr, betas=config.betas, weight_decay=config.weight_decay
        )
        self._schedule = PretrainSchedule(config, int(self.trainer.estimated_stepping_batches))
        if self._schedule_state:
            self._schedule.restore(self._schedule_state)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": LambdaLR(optimizer, self._schedule.__call__),
                "interval": "step",
            },
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """History and plateaus travel with the checkpoint."""
        checkpoint["history"] = list(self.history)
        checkpoint["plateau"] = self._schedule.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take history and plateaus up to the resumed epoch."""
        self.history = list(checkpoint["history"])
        self._schedule_state = dict(checkpoint["plateau"])
        if hasattr(self, "_schedule"):
            self._schedule.restore(self._schedule_state)

    def _loss(self, features: Tensor, sampler: MaskSampler) -> MaskedPatchLoss:
        scaling = self.model.normalization
        x = (features - scaling.mean) * (1 / scaling.scale)
        twice = self.config.passes == "two" and self.config.objective == "joint"
        masks = tuple(sampler(len(x)).to(x.device) for _ in range(2 if twice else 1))
        config = self.config
        return masked_patch_loss(self._network, x, masks, config.objective, config.mse_weight)

    def _over_processes(self, sums: _Sums) -> dict[str, float]:
        """Means over all clips of all processes."""
        total = self.trainer.strategy.reduce(sums.values.to(self.device), reduce_op="sum")
        return dict(zip(NAMES, (total[:-1] / total[-1]).tolist(), strict=True))


class _Sums:
    """Sums of the four numbers over clips, and how many clips: kept on the CPU in float64."""

    def __init__(self) -> None:
        self.values = torch.zeros(len(NAMES) + 1, dtype=torch.float64)

    def add(self, loss: MaskedPatchLoss, clips: int) -> None:
        parts: Sequence[Tensor] = [getattr(loss, name).detach().double() for name in NAMES]
        row = torch.stack([*parts, torch.ones_like(parts[0])])
        self.values = self.values.to(row.device) + clips * row
