"""Lightning module of training: augmented batches, label and distillation losses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import FSDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Optimizer

from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.batch import BatchTransform, TrainBatch
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.setup import DistillationPlan
from aum_edge.training.loop.history import OnEpoch, Row, write_history
from aum_edge.training.losses import distillation_loss, hard_loss, smooth
from aum_edge.training.metrics.validation import Predictions
from aum_edge.training.optim.freezing import apply_freeze, settle_frozen
from aum_edge.training.optim.optimizer import make_optimizer, make_schedule


class ClassificationTask(L.LightningModule):
    """Trains an :class:`AudioClassifier`, from labels alone or from teachers as well.

    ``history`` holds one row an epoch; it is part of every checkpoint, so that a resumed run
    writes the same history.csv as one that was never stopped.
    """

    def __init__(
        self,
        model: AudioClassifier,
        config: TrainConfig,
        *,
        seed: int,
        plan: DistillationPlan | None = None,
        history_file: Path | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.seed = seed
        self.plan = plan
        # A module of its own, so that it learns and is in the training's checkpoints.
        self.token_loss = plan.token_loss if plan else None
        self.history: list[Row] = []
        self.history_file = history_file
        self.on_epoch = on_epoch
        self._inputs = BatchTransform(model, config)
        self._generator = torch.Generator()
        apply_freeze(model.backbone, config.freeze)

    def on_train_epoch_start(self) -> None:
        """Freeze what this epoch does not train, and start its sums."""
        if self.config.freeze.epochs:
            apply_freeze(self.model.backbone, self.config.freeze, self.current_epoch)
        settle_frozen(self.model.backbone)
        if self.plan:
            self.plan.targets.start(self.current_epoch, self.global_rank, self.trainer.world_size)
        self._sums = torch.zeros(2, dtype=torch.float64)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Every epoch draws from its own seed, so a resumed run repeats the uninterrupted one.

        Not at the start of the epoch: a loader that starts draws from torch's own source, which
        is before that hook in some epochs and after it in others. Processes draw differently.
        """
        if batch_idx == 0:
            epoch, rounds = self.current_epoch, self.plan.targets.rounds if self.plan else 0
            seed = self.seed * 1_000_003 + (self.global_rank << 40)
            self._generator.manual_seed(seed + (epoch % rounds if rounds else epoch))
            # Dropout is the student's own and never comes again.
            torch.manual_seed(seed + epoch)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step on an augmented batch."""
        kind = self.config.loss
        augmented = self._inputs(batch, self._generator)
        targets = smooth(augmented.targets, self.config.label_smoothing, kind)
        if self.plan is None:
            loss = hard_loss(self.model(augmented.features), targets, kind)
        else:
            loss = self._distillation_loss(self.plan, augmented, targets)
        row = torch.stack([loss.detach().double(), loss.new_ones((), dtype=torch.float64)])
        self._sums = self._sums.to(row.device) + len(targets) * row
        return loss

    def _distillation_loss(
        self, plan: DistillationPlan, augmented: TrainBatch, targets: Tensor
    ) -> Tensor:
        """The loss of labels, soft targets and features together."""
        tokens: Sequence[Tensor] = ()
        with plan.hooks.recording() if plan.hooks else nullcontext(tokens) as tokens:
            logits = self.model(augmented.features)
        teachers = plan.targets.targets_for(augmented)
        loss = distillation_loss(logits, targets, teachers.soft, plan.config, self.config.loss)
        if self.token_loss is not None:
            loss = loss + plan.config.feature_weight * self.token_loss(tokens, teachers.tokens)
        return loss

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
        if self.plan:
            self.plan.targets.finish()
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
        optimizer = make_optimizer(self.model, self.config, self.token_loss)
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
