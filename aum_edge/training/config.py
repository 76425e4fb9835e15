"""How a model is trained and distilled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.audio.augment import AugmentConfig
from aum_edge.errors import RecipeError
from aum_edge.training.checks import at_least, one_of, within
from aum_edge.training.distill_config import DistillConfig as DistillConfig
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
Keep = Literal["best", "last", "soup"]
MemoryFormat = Literal["contiguous", "channels_last"]


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
    keep: Keep = "best"
    """Which weights are the result: those of the epoch with the best ``monitor``, of the last one,
    or the mean over the ``soup_size`` best epochs (Wortsman et al., arXiv 2203.05482, of one run).
    Averaged weights, by a soup or ``ema_decay``, get batch norm statistics of their own
    (Izmailov et al., arXiv 1803.05407, section 3.2)."""
    soup_size: int = 5
    """soup: how many of the best epochs are averaged; fewer where training was shorter."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    memory_format: MemoryFormat = "contiguous"
    """channels_last: a CP-Mobile trains 1.6 times faster on a CPU, an AuM or a student no faster;
    its batch norms then sum less exactly (gradients differ by some percent, logits by 1e-4)."""
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Beside history.csv, which is always written."""
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    freeze: FreezeConfig = FreezeConfig()
    batches: BatchConfig = BatchConfig()
    trainer: TrainerConfig = TrainerConfig()

    def __post_init__(self) -> None:
        one_of("loss", self.loss, get_args(Loss))
        one_of("monitor", self.monitor, get_args(Monitor))
        at_least("epochs", self.epochs, 1)
        at_least("batch_size", self.batch_size, 2)
        at_least("patience", self.patience, 0)
        one_of("keep", self.keep, get_args(Keep))
        one_of("memory_format", self.memory_format, get_args(MemoryFormat))
        at_least("soup_size", self.soup_size, 2)
        within("warmup", self.warmup, 0, 1)
        within("final_lr", self.final_lr, 0, 1)
        within("label_smoothing", self.label_smoothing, 0, 0.999)
        within("ema_decay", self.ema_decay, 0, 0.99999)
        if self.keep == "soup" and self.ema_decay:
            raise RecipeError(
                f"`keep: soup` and `ema_decay` {self.ema_decay} both average the weights: set "
                "`ema_decay` to 0 or keep best or last."
            )
        if not 0 < self.lr < float("inf"):
            raise RecipeError(f"`lr` must be above 0, got {self.lr}.")
        within("weight_decay", self.weight_decay, 0, 10)
        if not 0 <= self.gradient_clip < float("inf"):
            raise RecipeError(
                f"`gradient_clip` must be 0 (no clipping) or above, got {self.gradient_clip}."
            )

    @property
    def monitor_mode(self) -> Literal["min", "max"]:
        """Whether small or large values of ``monitor`` are good."""
        return "min" if self.monitor == "loss" else "max"
