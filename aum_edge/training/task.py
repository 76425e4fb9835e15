"""The Lightning task: augmented clips in, class and teacher losses out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer

from aum_edge.audio.augment import Augment
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import DistillConfig, TrainConfig
from aum_edge.training.freeze import apply_freeze, settle_frozen
from aum_edge.training.history import OnEpoch, Row, write_history
from aum_edge.training.losses import (
    as_targets,
    distillation_loss,
    hard_loss,
    mix_rows,
    smooth,
    soften,
)
from aum_edge.training.optimizer import make_optimizer
from aum_edge.training.schedule import make_schedule
from aum_edge.training.validation import Predictions


class Mix(NamedTuple):
    """Who was mixed with whom: partners (B,), and the share (B,) of the clip itself."""

    partner: Tensor
    lam: Tensor


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
        on_epoch: OnEpoch | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.seed = seed
        self.distill = distill
        self.history: list[Row] = []
        self.history_file = history_file
        self.on_epoch = on_epoch
        self.augment = Augment(config.augment, model.frontend, model.normalization.scale)
        # Held in a list: neither a submodule nor a tensor, so it stays out of the checkpoints.
        self._aside = [FrontEnd(model.frontend)]
        self._teacher = None
        if distill is not None and teacher_logits is not None:
            self._teacher = soften(teacher_logits, distill.temperature, config.loss)
        self._generator = torch.Generator()
        apply_freeze(model.backbone, config.freeze)

    def on_train_epoch_start(self) -> None:
        """Freeze what this epoch does not train, and start its sums."""
        if self.config.freeze.epochs:
            apply_freeze(self.model.backbone, self.config.freeze, self.current_epoch)
        settle_frozen(self.model.backbone)
        self._sums = torch.zeros(2, dtype=torch.float64)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Every epoch draws from its own seed, so a resumed run repeats the uninterrupted one.

        Not at the start of the epoch: a loader that starts draws from torch's own source, which
        is before that hook in some epochs and after it in others. Processes draw differently.
        """
        if batch_idx == 0:
            seed = self.seed * 1_000_003 + self.current_epoch + (self.global_rank << 40)
            self._generator.manual_seed(seed)
            torch.manual_seed(seed)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step on an augmented batch."""
        kind = self.config.loss
        features, targets, mixes = self._inputs(batch)
        logits = self.model(features)
        targets = smooth(targets, self.config.label_smoothing, kind)
        if self._teacher is None or self.distill is None:
            loss = hard_loss(logits, targets, kind)
        else:
            soft = self._teacher[batch["index"].cpu()].to(targets)
            for mix in mixes:
                soft = mix_rows(soft, *mix)
            loss = distillation_loss(logits, targets, soft, self.distill, kind)
        row = torch.stack([loss.detach().double(), loss.new_ones((), dtype=torch.float64)])
        self._sums = self._sums.to(row.device) + len(targets) * row
        return loss

    def _inputs(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, list[Mix]]:
        """Augmented features, targets (B, C) and what was mixed, in order."""
        targets = as_targets(batch["y"], len(self.model.labels))
        augment, generator, mixes = self.augment, self._generator, []
        with torch.no_grad():
            if "x" in batch:
                features = batch["x"]
            else:
                lengths = batch.get("length")
                waveform = augment.waveform(batch["waveform"], generator)
                mixed = augment.mix_waveforms(waveform, lengths, targets, generator)
                targets = mixed.targets
                mixes.append(Mix(mixed.partner, mixed.lam))
                front_end = self._aside[0].to(waveform.device)
                features = front_end(mixed.waveform, lengths).unsqueeze(1)
            features = augment.features(features, generator)
            features, targets, partner, lam = augment.mixup(features, targets, generator)
        return features, targets, [*mixes, Mix(partner, lam)]

    def on_validation_epoch_start(self) -> None:
        """Start the predictions of one validation."""
        self._predictions = Predictions()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keep one batch's logits."""
        self._predictions.add(batch["index"], self.model(batch["x"]), batch["y"])

    def on_validation_epoch_end(self) -> None:
        """Log the validation under the names that checkpoints and early stopping watch."""
        self._val = self._predictions.scores(self.config.loss)
        if self.config.monitor not in self._val:
            raise RecipeError(
                f"`monitor: {self.config.monitor}` does not exist for this validation split, in "
                f"which no class has clips inside and outside it; it has {', '.join(self._val)}."
            )
        for name, value in self._val.items():
            self.log(f"val/{name}", value, prog_bar=name in ("loss", self.config.monitor))

    def on_train_epoch_end(self) -> None:
        """Add the epoch's row to the history; Lightning validates before this hook."""
        total = self.trainer.strategy.reduce(self._sums.to(self.device), reduce_op="sum")
        loss = float(total[0] / total[1].clamp_min(1))
        self.log("train/loss", loss)
        row: Row = {"epoch": self.current_epoch + 1, "train_loss": round(loss, 6)}
        row |= {f"val_{name}": round(value, 6) for name, value in self._val.items()}
        row["lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.history.append(row)
        if self.history_file is not None and self.trainer.is_global_zero:
            write_history(self.history, self.history_file)
        if self.on_epoch:
            self.on_epoch(self.history)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimiser, and a learning rate that follows the steps."""
        optimizer = make_optimizer(self.model, self.config)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": make_schedule(optimizer, self.config, self._steps_by_epoch()),
                "interval": "step",
            },
        }

    def _steps_by_epoch(self) -> list[int]:
        """Of the optimiser; batches may grow and be added up differently from epoch to epoch."""
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        steps = []
        for epoch in range(self.config.epochs):
            batches = data.train_batches(epoch, self.trainer.world_size)
            steps.append(-(-batches // self.config.batches.accumulated(epoch)))
        return steps

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """By norm; weights spread over GPUs know their common norm only together."""
        if gradient_clip_val and isinstance(self.trainer.strategy, FSDPStrategy):
            spread: Any = self.trainer.strategy.model
            spread.clip_grad_norm_(gradient_clip_val)
            return
        self.clip_gradients(
            optimizer,
            gradient_clip_val=gradient_clip_val,
            gradient_clip_algorithm=gradient_clip_algorithm,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The history travels with the checkpoint."""
        checkpoint["history"] = list(self.history)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up to the resumed epoch."""
        self.history = list(checkpoint["history"])
