"""What pruning and quantization are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from aum_edge.errors import RecipeError

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


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """int8 weights, one scale an output channel; what is not a projection stays float."""

    method: Literal["max", "mse"] = "mse"
    """max: the largest weight is 127; mse: the scale with the least squared error."""
    skip: tuple[str, ...] = ()
    """Modules that stay float: names or shell patterns such as ``stem.*``."""
    float_dtype: Literal["float32", "float16"] = "float32"
    """How the remaining tensors are stored; decay rates (A_log) and scales stay float32."""

    def __post_init__(self) -> None:
        _check(
            self.method in ("max", "mse"),
            f"Quantize `method` must be max or mse, got {self.method!r}.",
        )
        _check(
            self.float_dtype in ("float32", "float16"),
            f"Quantize `float_dtype` must be float32 or float16, got {self.float_dtype!r}.",
        )


@dataclass(frozen=True, kw_only=True)
class StaticConfig:
    """int8 weights and int8 activations in an ONNX file (QDQ form)."""

    calibration: Literal["minmax", "percentile", "entropy"] = "minmax"
    """How activation ranges follow from the calibration clips."""
    activations: Literal["int8", "uint8"] = "uint8"
    """int8 is symmetric; uint8 has a zero point."""
    percentile: float = 99.99
    """Share of the activations inside the range, in percent (percentile only)."""

    def __post_init__(self) -> None:
        _check(
            self.calibration in ("minmax", "percentile", "entropy"),
            f"`calibration` must be minmax, percentile or entropy, got {self.calibration!r}.",
        )
        _check(
            self.activations in ("int8", "uint8"),
            f"`activations` must be int8 or uint8, got {self.activations!r}.",
        )
        _check(
            50 < self.percentile <= 100,
            f"`percentile` must be above 50 and at most 100, got {self.percentile}.",
        )
