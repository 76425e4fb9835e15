"""Fake quantization: weights and inputs rounded to grids whose steps are learned.

The forward pass rounds; the backward pass takes the rounding for the identity, and so the step of
a grid learns too. Source: Esser et al., Learned Step Size Quantization, arXiv 1902.08153,
equations 1 to 3; with a zero point: Bhalgat et al., arXiv 2004.09576.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from aum_edge.compression.quantization.rounding import LEVELS, QMAX, as_stored

ROUNDED = "rounded_input"


class Clock(nn.Module):
    """Counts training batches; from ``limit`` on, grids stand still.

    The count is part of every checkpoint, so a resumed training freezes at the same batch.
    """

    seen: Tensor

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @property
    def frozen(self) -> bool:
        """Whether grids stand still in the batch at hand."""
        return int(self.seen) > self.limit


class RoundedWeight(nn.Module):
    """A parametrization: the weight (out, ...) on int8 grids, one learned scale an output.

    The scale is kept as its logarithm: one step of Adam then changes every scale by the same
    share, whatever its size.
    """

    def __init__(self, scale: Tensor, dtype: str, clock: list[Clock]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(scale.log())
        self.dtype = dtype
        self._clock = clock

    def scale(self) -> Tensor:
        """(out,), as it is stored."""
        scale = self.log_scale.exp()
        return _passing(as_stored(scale, self.dtype), scale)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as its int8 layer will compute with it."""
        scale = self.scale()
        if self._clock[0].frozen:
            scale = scale.detach()
        per_scale = weight.numel() / len(weight)
        scale = _calmed(scale, 1 / math.sqrt(per_scale * QMAX))
        scale = scale.view(-1, *[1] * (weight.ndim - 1))
        return _round((weight / scale).clamp(-QMAX, QMAX)) * scale


class RoundedInput(nn.Module):
    """An input on a grid of 256 levels with a learned step and lower end."""

    def __init__(self, grid: Tensor, clock: list[Clock]) -> None:
        super().__init__()
        scale, zero = grid.unbind()
        self.log_scale = nn.Parameter(scale.log())
        self.low = nn.Parameter(-zero * scale)
        self._clock = clock

    def grid(self) -> Tensor:
        """(scale, zero point), as it is stored."""
        scale = self.log_scale.exp()
        zero = _round(-self.low / scale).clamp(0, LEVELS)
        return torch.stack([scale, zero])

    def forward(self, x: Tensor) -> Tensor:
        """The nearest values on the grid."""
        grid = self.grid()
        if self._clock[0].frozen:
            grid = grid.detach()
        scale, zero = _calmed(grid, 1 / math.sqrt(x[0].numel() * LEVELS)).unbind()
        return ((_round(x / scale) + zero).clamp(0, LEVELS) - zero) * scale


def attach(
    backbone: nn.Module,
    scales: Mapping[str, Tensor],
    grids: Mapping[str, Tensor],
    dtype: str,
    limit: int,
) -> None:
    """Make the layers of a float network round, in place; grids freeze after ``limit`` batches."""
    clock = Clock(limit)
    shared = [clock]
    for name, scale in scales.items():
        layer = backbone.get_submodule(name)
        parametrize.register_parametrization(layer, "weight", RoundedWeight(scale, dtype, shared))
    for name, grid in grids.items():
        layer = backbone.get_submodule(name)
        layer.add_module(ROUNDED, RoundedInput(grid, shared))
        layer.register_forward_pre_hook(_round_input)
    backbone.add_module("quantization_clock", clock)
    backbone.register_forward_pre_hook(_tick)


def learned(backbone: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """What a training reached: plain float tensors by name, scales and input grids by layer."""
    scales, grids = {}, {}
    for name, module in backbone.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            rounded = module.parametrizations["weight"][0]
            scales[name] = rounded.scale().detach().clone()
        inputs = getattr(module, ROUNDED, None)
        if isinstance(inputs, RoundedInput):
            grids[name] = inputs.grid().detach().clone()
    floats = {}
    for key, tensor in backbone.state_dict().items():
        if ROUNDED not in key and "quantization_clock" not in key and "log_scale" not in key:
            floats[key.replace("parametrizations.weight.original", "weight")] = tensor.detach()
    return floats, scales, grids


def _round_input(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (module.get_submodule(ROUNDED)(args[0]), *args[1:])


def _tick(module: nn.Module, args: tuple[Tensor, ...]) -> None:
    clock = module.get_submodule("quantization_clock")
    if module.training and torch.is_grad_enabled() and isinstance(clock, Clock):
        clock.seen += 1


def _round(x: Tensor) -> Tensor:
    """Rounded; the gradient passes."""
    return _passing(x.round(), x)


def _calmed(x: Tensor, factor: float) -> Tensor:
    """The same value with a smaller gradient: a step gathers those of all that it rounds."""
    return _passing(x, x * factor)


def _passing(value: Tensor, gradient: Tensor) -> Tensor:
    """Exactly ``value``, with the gradient of ``gradient``."""
    return value.detach() + (gradient - gradient.detach())
