"""Simulated quantization: a float network with rounded weights and inputs in a context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.compression.quantization.calibration import BATCH
from aum_edge.compression.quantization.rounding import rounded_input
from aum_edge.models.classifier import Activation, AudioClassifier


@dataclass(frozen=True)
class Reading:
    """Distance of outputs from the float model's."""

    loss: float
    """Mean KL divergence from the float model's probabilities, in nats."""
    error: float
    """Root mean square difference of logits."""
    agreement: float
    """Share of clips with the same first class."""
    accuracy: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@contextmanager
def simulated(
    backbone: nn.Module, weights: Mapping[str, Tensor], grids: Mapping[str, Tensor]
) -> Iterator[None]:
    """Inside, layers have these ``weights`` and round their inputs to these ``grids``.

    Both are by layer name; afterwards everything is as it was.
    """
    kept = {name: backbone.get_parameter(f"{name}.weight") for name in weights}
    before = {name: parameter.detach().clone() for name, parameter in kept.items()}
    hooks = []
    try:
        with torch.no_grad():
            for name, weight in weights.items():
                kept[name].copy_(weight)
        for name, grid in grids.items():
            module = backbone.get_submodule(name)
            hooks.append(module.register_forward_pre_hook(_rounding(grid)))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        with torch.no_grad():
            for name, weight in before.items():
                kept[name].copy_(weight)


def _rounding(grid: Tensor) -> Any:
    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (rounded_input(args[0], grid), *args[1:])

    return hook


@torch.no_grad()
def clip_logits(model: AudioClassifier, features: Tensor) -> Tensor:
    """Logits (n, C) of clips, a few at once."""
    return torch.cat([model(part) for part in features.split(BATCH)])


def compare(
    reference: Tensor, logits: Tensor, activation: Activation, labels: Tensor | None = None
) -> Reading:
    """Logits (n, C) against those of the float model."""
    same = reference.argmax(1) == logits.argmax(1)
    hits = None
    if labels is not None and labels.ndim == 1:
        hits = float((logits.argmax(1) == labels).float().mean())
    return Reading(
        loss=_divergence(reference.double(), logits.double(), activation),
        error=float((reference - logits).square().mean().sqrt()),
        agreement=float(same.float().mean()),
        accuracy=hits,
    )


def _divergence(reference: Tensor, logits: Tensor, activation: Activation) -> float:
    """KL divergence over classes, or binary for each class, the mean over clips."""
    if activation == "softmax":
        wanted, got = F.log_softmax(reference, dim=1), F.log_softmax(logits, dim=1)
        return max(0.0, float(F.kl_div(got, wanted, reduction="batchmean", log_target=True)))
    truth = torch.sigmoid(reference)
    crossed = F.binary_cross_entropy_with_logits(logits, truth)
    own = F.binary_cross_entropy_with_logits(reference, truth)
    return max(0.0, float(crossed - own))
