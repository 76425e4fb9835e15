"""What pruning and quantization are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.compression.quantize_config import QuantizeConfig, StaticConfig
from aum_edge.errors import RecipeError

__all__ = ["Dimension", "PruneConfig", "QuantizeConfig", "StaticConfig"]

Dimension = Literal["inner", "state", "dt_rank", "block"]


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise RecipeError(message)


@dataclass(frozen=True, kw_only=True)
class PruneConfig:
    """How small the model has to become, and where it may be cut."""

    max_macs: float | None = None
    """Exact MACs of one clip (``complexity.counter``); ``None`` sets no limit."""
    max_bytes: float | None = None
    """Bytes of the model once quantized to int8 weights; ``None`` sets no limit."""
    importance: Literal["magnitude", "taylor"] = "taylor"
    """taylor: |weight * gradient| on the clips given; magnitude: squared projection weights."""
    dimensions: tuple[Dimension, ...] = ("inner", "state", "dt_rank", "block")
    """inner: channels (whole heads in SSD); state; dt_rank (not in SSD); block: whole layers."""
    steps: int = 8
    """Rounds; importances are measured again on the smaller model before each."""

    def __post_init__(self) -> None:
        for name in ("max_macs", "max_bytes"):
            value = getattr(self, name)
            _check(
                value is None or value > 0,
                f"Prune `{name}` must be above 0, or null for no limit; got {value}.",
            )
        _check(
            self.importance in ("magnitude", "taylor"),
            f"Prune `importance` must be magnitude or taylor, got {self.importance!r}.",
        )
        allowed = get_args(Dimension)
        wrong = [name for name in self.dimensions if name not in allowed]
        _check(
            bool(self.dimensions) and not wrong,
            f"Prune `dimensions` must name at least one of {', '.join(allowed)}; "
            f"got {list(self.dimensions)}.",
        )
        _check(self.steps >= 1, f"Prune `steps` must be at least 1, got {self.steps}.")
