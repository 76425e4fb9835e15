"""Config of pruning: limits, dimensions, importance and recovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.core.validation import check
from aum_edge.ssm.mixers.groups import Dimension

Importance = Literal["taylor", "activation", "magnitude"]
ALL: tuple[Dimension, ...] = get_args(Dimension)


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """How small the model has to become, where it may be cut, and how often it may recover."""

    max_macs: float | None = None
    """Exact MACs of one clip (``complexity.counter``); ``None`` sets no limit."""
    max_bytes: float | None = None
    """Bytes of the model once quantized to int8 weights; ``None`` sets no limit."""
    macs_share: float | None = None
    """Limit as a share of the unpruned model's MACs; with ``max_macs`` the lower one holds."""
    bytes_share: float | None = None
    """Limit as a share of the unpruned model's int8 bytes; the lower one holds here too."""
    importance: Importance = "taylor"
    """taylor: what the loss would rise by, to second order; activation: share of the energy a
    unit carries; magnitude: gain of its weights, without any clips."""
    dimensions: tuple[Dimension, ...] = ALL
    """inner: channels (whole heads in SSD); state; dt_rank (S6); head_dim: one channel of every
    head (SSD); direction: one of two in a block; block: whole layers; d_model: the width of the
    residual stream; stem: channels of the student's first convolutions."""
    steps: int = 8
    """Cuts in all; importances are measured again on the smaller model before each."""
    rounds: int = 3
    """Times that the stage cuts and lets the model recover; the steps are shared among them."""
    round_epochs: int = 3
    """Epochs of recovery between two rounds; after the last one ``recover`` says how many."""

    curve_clips: int = 64
    """Training clips that the sensitivity curves in the stage's result are measured on, each kind
    of group cut alone by 10 to 90 percent; 0 leaves the curves out."""

    def __post_init__(self) -> None:
        for name in ("max_macs", "max_bytes"):
            value = getattr(self, name)
            check(
                value is None or value > 0,
                f"Prune `{name}` must be above 0, or null for no limit; got {value}.",
            )
        for name in ("macs_share", "bytes_share"):
            value = getattr(self, name)
            check(
                value is None or 0 < value <= 1,
                f"Prune `{name}` must be above 0 and at most 1, or null for no limit; got {value}.",
            )
        allowed = ", ".join(get_args(Importance))
        check(
            self.importance in get_args(Importance),
            f"Prune `importance` must be one of {allowed}, got {self.importance!r}.",
        )
        wrong = [name for name in self.dimensions if name not in ALL]
        check(
            bool(self.dimensions) and not wrong,
            f"Prune `dimensions` must name at least one of {', '.join(ALL)}; "
            f"got {list(self.dimensions)}.",
        )
        for name in ("steps", "rounds", "round_epochs"):
            value = getattr(self, name)
            check(value >= 1, f"Prune `{name}` must be at least 1, got {value}.")
        check(
            self.curve_clips >= 0,
            f"Prune `curve_clips` must be at least 0, got {self.curve_clips}.",
        )
