"""Numbers on a grid: scales of int8 weights, grids of 8 bit inputs, and what rounding costs."""

from __future__ import annotations

import torch
from torch import Tensor

QMAX = 127
"""Symmetric: -128 is not used, so a negated weight has the negated code."""
LEVELS = 255
"""The highest code of an input, which starts at 0."""
TRIALS = 100
SMALLEST_TRIAL = 0.5
"""The mse search tries this many scales, from this share of the largest weight up to all of it."""
SMALLEST_HALF = 2.0**-24
"""The smallest scale that float16 holds."""
SHARES = torch.linspace(1, 0.2, 81)
"""What the mse search tries of a range."""
ROUNDS = 2


def channel_scales(weight: Tensor, method: str, dtype: str = "float32") -> Tensor:
    """One scale for each row of a weight (out, ...): (out,) float32, a value of ``dtype``.

    max: the largest magnitude over 127. mse: the share of it whose rounding has the least squared
    error; clipping one outlier can be worth a finer grid for all others. A row of zeros gets 1.

    Cost: mse reads the weight ``TRIALS`` times.
    """
    rows = weight.detach().float().flatten(1)
    top = rows.abs().amax(dim=1) / QMAX
    top = torch.where(top > 0, top, torch.ones_like(top))
    if method == "max":
        return as_stored(top, dtype)
    best, least = as_stored(top, dtype), torch.full_like(top, torch.inf)
    for share in torch.linspace(1, SMALLEST_TRIAL, TRIALS):
        scale = as_stored(top * share, dtype)
        error = (rows - to_int8(rows, scale) * scale[:, None]).square().sum(dim=1)
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
    return best


def as_stored(scale: Tensor, dtype: str) -> Tensor:
    """Positive scales as they come back from a file that keeps them in ``dtype``."""
    if dtype == "float32":
        return scale
    return scale.clamp_min(SMALLEST_HALF).half().float()


def to_int8(weight: Tensor, scale: Tensor) -> Tensor:
    """Codes -127 to 127 (int8) of a weight (out, ...) on the grids of ``scale`` (out,)."""
    steps = weight.detach().float() / scale.view(-1, *[1] * (weight.ndim - 1))
    return steps.round().clamp(-QMAX, QMAX).to(torch.int8)


def rounded_weight(weight: Tensor, scale: Tensor) -> Tensor:
    """A weight (out, ...) as its int8 layer computes with it."""
    return to_int8(weight, scale) * scale.view(-1, *[1] * (weight.ndim - 1))


def input_grid(low: float, high: float) -> Tensor:
    """(scale, zero point) float32 of 256 levels over a range, widened to hold 0 exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / LEVELS, 1e-12)
    return torch.tensor([scale, float(round(-low / scale))])


def rounded_input(x: Tensor, grid: Tensor) -> Tensor:
    """Values on a grid (scale, zero point); what lies outside goes to its ends."""
    scale, zero = grid.unbind()
    return ((x / scale).round() + zero).clamp(0, LEVELS).sub(zero) * scale


def input_range(values: Tensor, method: str, percentile: float) -> tuple[float, float]:
    """The range (low, high) that a grid for ``values`` should cover; see ``CalibrationConfig``.

    Cost: mse rounds the values ``3 * len(SHARES)`` times; give a sample.
    """
    values = values.flatten()
    low, high = float(values.min().clamp(max=0)), float(values.max().clamp(min=0))
    if method == "percentile":
        outside = round(values.numel() * (1 - percentile / 100))
        if outside:
            tails = (values.kthvalue(outside).values, (-values).kthvalue(outside).values)
            low, high = min(float(tails[0]), 0.0), max(-float(tails[1]), 0.0)
    elif method == "mse":
        low, high = _least_error(values, low, high, SHARES.tolist(), (1, 1))
        for _ in range(ROUNDS - 1):
            low, high = _least_error(values, low, high, SHARES.tolist(), (1, 0))
            low, high = _least_error(values, low, high, SHARES.tolist(), (0, 1))
    return low, high


def _least_error(
    values: Tensor, low: float, high: float, shares: list[float], moved: tuple[int, int]
) -> tuple[float, float]:
    """The best of ranges whose moved ends are at a share of where they are."""
    tried = [
        (low * share if moved[0] else low, high * share if moved[1] else high) for share in shares
    ]
    errors = [
        float((values - rounded_input(values, input_grid(*ends))).square().sum()) for ends in tried
    ]
    return tried[min(range(len(tried)), key=errors.__getitem__)]
