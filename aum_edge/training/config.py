"""Settings of training: optimiser, schedule, freezing, batches and trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.core.validation import at_least, check_words, one_of, require, within
from aum_edge.errors import RecipeError

Monitor = Literal[
    "accuracy", "macro_accuracy", "precision", "recall", "f1", "map", "mean_auc", "d_prime", "loss"
]
Loss = Literal["cross-entropy", "bce"]
Keep = Literal["best", "last", "soup"]
MemoryFormat = Literal["contiguous", "channels_last"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Which optimiser, and how much slower or faster some layers learn than `lr` says.

    AuM: ``name: adam, betas: [0.95, 0.999]``.
    """

    name: Literal["adamw", "adam"] = "adamw"
    """adam adds the weight decay to the gradient, adamw shrinks the weights by it."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the denominator of a step."""
    head_lr_factor: float = 1.0
    """The head's learning rate over the backbone's. SSAMBA on AudioSet: 3."""
    layer_decay: float = 1.0
    """Every block learns this much slower than the one above it; 1 is all alike."""

    def __post_init__(self) -> None:
        check_words("optimizer", self)
        for name in ("eps", "head_lr_factor", "layer_decay"):
            require(getattr(self, name) > 0, f"optimizer.{name}", "above 0", getattr(self, name))
        require(self.layer_decay <= 1, "optimizer.layer_decay", "at most 1", self.layer_decay)
        fine = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        require(fine, "optimizer.betas", "two numbers from 0 to below 1", self.betas)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Learning-rate schedule after the warm-up. An epoch's number is how many are done.

    AuM on VGGSound: ``kind: step, start: 5, every: 2, factor: 0.75``; on EPIC-SOUNDS:
    ``kind: table, table: {10: 0.05, 20: 0.01}``.
    """

    kind: Literal["cosine", "step", "table", "constant"] = "cosine"
    """cosine: down to `final_lr` of the peak."""
    warmup_steps: int = 0
    """Steps that the learning rate climbs; 0 is the share `warmup` of all steps."""
    start: int = 1
    """step: epochs done when the learning rate first drops."""
    every: int = 1
    """step: epochs between the drops."""
    factor: float = 0.5
    """step: what is left of the learning rate at each drop."""
    table: dict[int, float] = field(default_factory=dict)
    """table: shares of the peak, each from so many epochs done."""

    def __post_init__(self) -> None:
        check_words("schedule", self)
        for name, least in (("warmup_steps", 0), ("start", 0), ("every", 1)):
            value = getattr(self, name)
            require(value >= least, f"schedule.{name}", f"at least {least}", value)
        require(self.factor > 0, "schedule.factor", "above 0", self.factor)
        _check_table("schedule.table", self.table, 0)
        if bool(self.table) != (self.kind == "table"):
            raise RecipeError(
                f"`schedule.table` goes with `kind: table`: got the table {self.table} with kind "
                f"{self.kind}."
            )


@dataclass(frozen=True, kw_only=True)
class FreezeConfig:
    """Which layers keep the weights they start with."""

    trains: Literal["all", "head", "last-blocks"] = "all"
    """last-blocks: the last `last_blocks` blocks, the final norm and the head."""
    last_blocks: int = 0
    """Blocks of the network, from its end; of SSAMBA's pairs each half is one."""
    epochs: int = 0
    """Epochs after which everything trains; 0 is never."""

    def __post_init__(self) -> None:
        check_words("freeze", self)
        for name in ("last_blocks", "epochs"):
            require(getattr(self, name) >= 0, f"freeze.{name}", "at least 0", getattr(self, name))
        if (self.last_blocks > 0) != (self.trains == "last-blocks"):
            raise RecipeError(
                f"`freeze.last_blocks` goes with `trains: last-blocks` and is then above 0: got "
                f"{self.last_blocks} with trains {self.trains}."
            )
        if self.epochs and self.trains == "all":
            raise RecipeError(
                f"`freeze.epochs` is {self.epochs}, but `freeze.trains: all` freezes nothing."
            )


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How batches are drawn and added up. Tables are read as `schedule.table` is."""

    size_by_epoch: dict[int, int] = field(default_factory=dict)
    """Batch sizes that take the place of `batch_size` from so many epochs done."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one step."""
    accumulate_by_epoch: dict[int, int] = field(default_factory=dict)
    """The same from so many epochs done."""
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    """balanced: rows are drawn with replacement, as many as there are, each with the sum of
    1000 / (count + 0.01) over its labels as weight, as AuM does."""
    weight_file: str = ""
    """Draw with these weights instead: one number a line, a line a training row."""

    def __post_init__(self) -> None:
        check_words("batches", self)
        require(self.accumulate >= 1, "batches.accumulate", "at least 1", self.accumulate)
        _check_table("batches.size_by_epoch", self.size_by_epoch, 2)
        _check_table("batches.accumulate_by_epoch", self.accumulate_by_epoch, 1)
        if self.weight_file and self.sampling == "balanced":
            raise RecipeError(
                f"`batches.weight_file` {self.weight_file} takes the place of the weights that "
                "`batches.sampling: balanced` computes: give one of them."
            )

    def accumulated(self, epoch: int) -> int:
        """Batches of one step once ``epoch`` epochs are done."""
        return int(from_table(self.accumulate_by_epoch, epoch, self.accumulate))


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """Where training runs. Under ``torchrun`` its own number of processes counts instead.

    The batch size is that of each device.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """auto: a GPU where there is one."""
    devices: int = 1
    """GPUs, or processes on a CPU, of one machine."""
    num_nodes: int = 1
    """Machines."""
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true", "fsdp"] = "auto"
    """auto: ddp where there are several devices. fsdp spreads the weights over GPUs."""

    def __post_init__(self) -> None:
        check_words("trainer", self)
        for name in ("devices", "num_nodes"):
            require(getattr(self, name) >= 1, f"trainer.{name}", "at least 1", getattr(self, name))


def from_table(table: Mapping[int, float], epoch: int, before: float) -> float:
    """The last entry whose key is at most ``epoch``; ``before`` where there is none."""
    reached = [key for key in table if key <= epoch]
    return table[max(reached)] if reached else before


def _check_table(name: str, table: Mapping[int, float], least: float) -> None:
    for epoch, value in table.items():
        if epoch < 0 or value < least:
            raise RecipeError(
                f"`{name}` holds epochs from 0 and values of at least {least}, got "
                f"{epoch}: {value}."
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run: optimiser, linear warm-up, a curve, the best epoch by validation."""

    epochs: int = 30
    """Passes over the training split."""
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
    """Number format of the forward and backward pass; 16-mixed needs a GPU."""
    memory_format: MemoryFormat = "contiguous"
    """channels_last: a CP-Mobile trains 1.6 times faster on a CPU, an AuM or a student no faster;
    its batch norms then sum less exactly (gradients differ by some percent, logits by 1e-4)."""
    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Beside history.csv, which is always written."""
    augment: AugmentConfig = AugmentConfig()
    """Random variations of the training clips."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimiser, and learning rates by layer."""
    schedule: ScheduleConfig = ScheduleConfig()
    """Curve of the learning rate after the warm-up."""
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
