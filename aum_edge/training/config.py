"""How a model is trained and distilled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aum_edge.audio.augment import AugmentConfig
from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run: AdamW, linear warm-up, cosine decay, best epoch by validation."""

    epochs: int = 30
    batch_size: int = 64
    lr: float = 5e-3
    """Peak learning rate."""
    weight_decay: float = 1e-2
    """On matrices and kernels only: not on norms, biases or the recurrence's A and D."""
    warmup: float = 0.1
    """Share of all steps that the learning rate climbs."""
    final_lr: float = 0.01
    """Share of the peak that is left at the end."""
    label_smoothing: float = 0.0
    gradient_clip: float = 1.0
    """Largest gradient norm; 0 is no clipping."""
    ema_decay: float = 0.0
    """Decay of the averaged weights per step; 0 is no averaging."""
    patience: int = 0
    """Epochs without a better validation before training stops; 0 is never."""
    monitor: Literal["accuracy", "loss"] = "accuracy"
    """What the best epoch is chosen by, on the validation split."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Beside history.csv, which is always written."""
    augment: AugmentConfig = AugmentConfig()

    def __post_init__(self) -> None:
        _at_least("epochs", self.epochs, 1)
        _at_least("batch_size", self.batch_size, 2)
        _at_least("patience", self.patience, 0)
        _within("warmup", self.warmup, 0, 1)
        _within("final_lr", self.final_lr, 0, 1)
        _within("label_smoothing", self.label_smoothing, 0, 0.999)
        _within("ema_decay", self.ema_decay, 0, 0.99999)
        if not self.lr > 0:
            raise RecipeError(f"`lr` must be above 0, got {self.lr}.")


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Loss = (1 - kd_lambda) * cross entropy + kd_lambda * T² * KL(teacher || student).

    Source: Hinton et al., arXiv 1503.02531, with the weighting of the DCASE systems.
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


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise RecipeError(f"`{name}` must lie between {low} and {high}, got {value}.")
