"""How a model is trained and distilled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.audio.augment import AugmentConfig
from aum_edge.errors import RecipeError
from aum_edge.training.parts import (
    BatchConfig,
    FreezeConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainerConfig,
)

Monitor = Literal[
    "accuracy", "macro_accuracy", "precision", "recall", "f1", "map", "mean_auc", "d_prime", "loss"
]
Loss = Literal["cross-entropy", "bce"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run: optimiser, linear warm-up, a curve, the best epoch by validation."""

    epochs: int = 30
    batch_size: int = 64
    """Clips of one batch of one device."""
    loss: Loss = "cross-entropy"
    """bce: binary cross entropy of every class by itself, the mean over clips and classes; clips
    with several labels need it."""
    lr: float = 5e-3
    """Peak learning rate."""
    weight_decay: float = 1e-2
    """On matrices and kernels only: not on norms, biases or the recurrence's A and D."""
    warmup: float = 0.1
    """Share of all steps that the learning rate climbs."""
    final_lr: float = 0.01
    """Share of the peak that is left at the end."""
    label_smoothing: float = 0.0
    """Share of the target that goes to all classes alike; with bce, to one half."""
    gradient_clip: float = 1.0
    """Largest gradient norm; 0 is no clipping."""
    ema_decay: float = 0.0
    """Decay of the averaged weights per step; 0 is no averaging."""
    patience: int = 0
    """Epochs without a better validation before training stops; 0 is never."""
    monitor: Monitor = "accuracy"
    """What the best epoch is chosen by, on the validation split's segments. Precision, recall and
    f1 are weighted by class size; ``macro_accuracy`` is balanced accuracy; clips with several
    labels have map, mean_auc, d_prime and loss alone."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Beside history.csv, which is always written."""
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    freeze: FreezeConfig = FreezeConfig()
    batches: BatchConfig = BatchConfig()
    trainer: TrainerConfig = TrainerConfig()

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, get_args(Loss))
        _one_of("monitor", self.monitor, get_args(Monitor))
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 2)
        _at_least("patience", self.patience, 0)
        _within("warmup", self.warmup, 0, 1)
        _within("final_lr", self.final_lr, 0, 1)
        _within("label_smoothing", self.label_smoothing, 0, 0.999)
        _within("ema_decay", self.ema_decay, 0, 0.99999)
        if not self.lr > 0:
            raise RecipeError(f"`lr` must be above 0, got {self.lr}.")

    @property
    def monitor_mode(self) -> Literal["min", "max"]:
        """Whether small or large values of ``monitor`` are good."""
        return "min" if self.monitor == "loss" else "max"


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Loss = (1 - kd_lambda) * hard loss + kd_lambda * T² * KL(teacher || student).

    With ``loss: bce`` every class is a yes or no of its own: KL is that of two coins, the mean
    over clips and classes, as the hard loss is. Source: Hinton et al., arXiv 1503.02531, with the
    weighting of the DCASE systems.
    """

    temperature: float = 2.0
    kd_lambda: float = 0.9
    """Share of the teacher's voice in the loss; 0 trains on hard labels alone."""

    def __post_init__(self) -> None:
        _within("kd_lambda", self.kd_lambda, 0, 1)
        if not self.temperature > 0:
            raise RecipeError(f"`temperature` must be above 0, got {self.temperature}.")


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise RecipeError(f"`{name}` must be at least {least}, got {value}.")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RecipeError(f"`{name}` must be one of {', '.join(allowed)}; got '{value}'.")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(f"`{name}` must lie between {low} and {high}, got {value}.")
