"""Settings of quantization: weights, activations, fine-tuning, and what stays precise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from aum_edge.core.validation import check
from aum_edge.training.config import TrainConfig

RangeMethod = Literal["minmax", "percentile", "mse"]


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    check(value in allowed, f"{name} must be one of {', '.join(allowed)}; got {value!r}.")


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig:
    """The training clips that ranges and sensitivities are measured on."""

    clips: int = 128
    """Rows of the training split, drawn without replacement; their numbers are stored."""
    method: RangeMethod = "mse"
    """minmax: all values fit; percentile: all but the outermost; mse: least squared error."""
    percentile: float = 99.99
    """Share of the values below the upper end, and of those above the lower one, in percent."""

    def __post_init__(self) -> None:
        check(
            self.clips >= 1,
            f"Calibration `clips` must be at least 1, got {self.clips}: an empty calibration set "
            "says nothing about ranges; about 100 do.",
        )
        _one_of("Calibration `method`", self.method, get_args(RangeMethod))
        check(
            50 < self.percentile <= 100,
            f"`percentile` must be above 50 and at most 100, got {self.percentile}.",
        )


@dataclass(frozen=True, kw_only=True)
class SensitivityConfig:
    """Choose by measurement which weights stay in 16 bit, and which inputs stay float."""

    max_bytes: float | None = None
    """Stored parameter bytes that the choice may take; ``None`` sets no limit."""
    max_loss: float = 2e-5
    """Stop once the mean KL divergence from the float model's outputs is below this, in nats."""

    def __post_init__(self) -> None:
        check(
            self.max_bytes is None or self.max_bytes > 0,
            f"Sensitivity `max_bytes` must be above 0, or null for no limit; got {self.max_bytes}.",
        )
        check(
            self.max_loss >= 0,
            f"Sensitivity `max_loss` must be 0 or more (nats), got {self.max_loss}.",
        )


@dataclass(frozen=True, kw_only=True)
class QatConfig:
    """Fine-tune the rounded network; gradients pass the rounding as if it were not there.

    Batch norms are folded before, so their statistics are frozen throughout. Source: Esser et
    al., Learned Step Size Quantization, arXiv 1902.08153, section 2; the schedule of the DCASE
    2023 winners freezes the grids for the last epochs.
    """

    train: TrainConfig = TrainConfig(epochs=12, lr=1e-4, weight_decay=0.0)
    distill: Literal["teachers", "float", "none"] = "float"
    """float: learn from the float student's logits of the same varied clips alone, so that the
    rounded one stays close to it;
    teachers: from the run's teachers, as the student did, which trains on rather than only
    repairs (one run in five gained 5 points by it and one lost 4); none: from labels alone."""
    freeze_epochs: int = 4
    """Last epochs in which scales and ranges stand still and the weights alone adapt."""

    def __post_init__(self) -> None:
        _one_of("Qat `distill`", self.distill, ("teachers", "float", "none"))
        check(
            0 <= self.freeze_epochs <= self.train.epochs,
            f"Qat `freeze_epochs` must lie between 0 and `train.epochs` ({self.train.epochs}), "
            f"got {self.freeze_epochs}.",
        )
        check(
            self.train.freeze.trains == "all",
            "Qat trains every weight: take `freeze` out of its `train` settings.",
        )


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """int8 weights, one scale an output channel; what is not a projection stays float."""

    method: Literal["max", "mse"] = "mse"
    """max: the largest weight is 127; mse: the scale with the least squared error."""
    skip: tuple[str, ...] = ()
    """Modules that stay float: names or shell patterns such as ``stem.*``."""
    half: tuple[str, ...] = ()
    """Modules whose weights are stored in 16 bit instead; for narrow ones that costs nothing."""
    float_dtype: Literal["float32", "float16"] = "float32"
    """How the remaining tensors are stored; decay rates (A_log) stay float32."""
    scale_dtype: Literal["float32", "float16"] = "float32"
    """How the scales are stored; weights are rounded to the grid of the stored scale."""
    keep_float: Literal["listed", "auto"] = "listed"
    """auto: a sensitivity sweep adds to ``half``, and to ``float_inputs``, what pays most."""
    sensitivity: SensitivityConfig = SensitivityConfig()
    """Limits of the automatic choice."""
    activations: Literal["float32", "uint8"] = "float32"
    """uint8: the input of every int8 layer is rounded to 256 levels of a fixed range. The scan
    with its A, delta, state, exp and softplus stays float either way."""
    float_inputs: tuple[str, ...] = ()
    """Layers whose input stays float: names or shell patterns."""
    calibration: CalibrationConfig = CalibrationConfig()
    """Clips and method for the ranges of inputs."""
    qat: QatConfig | None = None
    """Train the rounded network; ``None`` rounds and is done."""

    def __post_init__(self) -> None:
        words = ("float32", "float16")
        check(
            self.method in ("max", "mse"),
            f"Quantize `method` must be max or mse, got {self.method!r}.",
        )
        for name in ("float_dtype", "scale_dtype"):
            value = getattr(self, name)
            check(value in words, f"Quantize `{name}` must be float32 or float16, got {value!r}.")
        _one_of("Quantize `keep_float`", self.keep_float, ("listed", "auto"))
        _one_of("Quantize `activations`", self.activations, ("float32", "uint8"))
        check(
            not self.float_inputs or self.activations == "uint8",
            "Quantize `float_inputs` goes with `activations: uint8`: without it every input is "
            "float.",
        )


@dataclass(frozen=True, kw_only=True)
class StaticConfig:
    """int8 weights and int8 activations in an ONNX file (QDQ form)."""

    calibration: RangeMethod = "mse"
    """How activation ranges follow from the calibration clips."""
    activations: Literal["int8", "uint8"] = "uint8"
    """int8 is symmetric; uint8 has a zero point."""
    percentile: float = 99.99
    """Share of the activations inside the range, in percent (percentile only)."""
    max_loss: float | None = 2e-5
    """Mean KL divergence from the float file's outputs on the calibration clips, in nats; the
    projections that hurt most stay float until it is reached. ``None`` quantizes all of them."""

    def __post_init__(self) -> None:
        _one_of("`calibration`", self.calibration, get_args(RangeMethod))
        check(
            self.activations in ("int8", "uint8"),
            f"`activations` must be int8 or uint8, got {self.activations!r}.",
        )
        check(
            50 < self.percentile <= 100,
            f"`percentile` must be above 50 and at most 100, got {self.percentile}.",
        )
        check(
            self.max_loss is None or self.max_loss >= 0,
            f"`max_loss` must be 0 or more (nats), or null for no limit; got {self.max_loss}.",
        )
