"""Layers whose weights are stored as int8 with one scale an output channel.

They compute in float32 with the weight int8 * scale, made once when they are first used. Some
round what they take in to 256 levels as well: an 8 bit engine's numbers, simulated in float. The
stored tensors are parameters, so the challenge's own script counts their bytes as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import TokenConv

HIGHEST = 255
"""Code of a rounded input; the lowest is 0."""


class QuantizedLayer(nn.Module):
    """int8 ``weight``, float ``scale`` (out,), optional ``bias``; the float layer is a template.

    ``input_grid`` (2,) is scale and zero point of the input, ``None`` where inputs stay float.
    """

    def __init__(self, layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        weight = layer.weight
        empty = torch.zeros(weight.shape, dtype=torch.int8, device=weight.device)
        scale = torch.ones(weight.shape[0], dtype=weight.dtype, device=weight.device)
        self.weight = nn.Parameter(empty, requires_grad=False)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None
        if layer.bias is not None:
            self.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=False)
        self.input_grid: nn.Parameter | None = None
        self._cache: tuple[tuple[tuple[int, int], ...], Tensor] | None = None

    def float_weight(self) -> Tensor:
        """The weight as it is computed with: int8 times its channel's scale.

        Made again only when a stored tensor has changed. While a program is being traced it is
        computed in the trace, so that the program holds the int8 codes.
        """
        if torch.compiler.is_compiling():
            return self._dequantized()
        state = (_version(self.weight), _version(self.scale))
        if self._cache is None or self._cache[0] != state:
            # An inference tensor could not serve a later pass that needs gradients.
            with torch.inference_mode(False):
                self._cache = (state, self._dequantized())
        return self._cache[1]

    def with_rounded_input(self) -> Self:
        """Get an ``input_grid``, its values still to be set."""
        self.input_grid = nn.Parameter(self.scale.new_tensor([1.0, 0.0]), requires_grad=False)
        return self

    def rounded(self, x: Tensor) -> Tensor:
        """What the layer computes with of an input: itself, or its nearest values on the grid."""
        if self.input_grid is None:
            return x
        scale, zero = self.input_grid.unbind()
        return ((x / scale).round() + zero).clamp(0, HIGHEST).sub(zero) * scale

    def _dequantized(self) -> Tensor:
        shape = (-1, *[1] * (self.weight.ndim - 1))
        return self.weight.detach().to(self.scale.dtype) * self.scale.detach().view(shape)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast; at once, so that no later pass pays for it or counts it."""
        super()._apply(fn, recurse)
        self._cache = None
        self.float_weight()
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles hold the stored tensors only."""
        return {**self.__dict__, "_cache": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.float_weight()


def float_weight(layer: nn.Module) -> Tensor:
    """The weight that a layer computes with, whether it is stored in float or in int8."""
    if isinstance(layer, QuantizedLayer):
        return layer.float_weight()
    return layer.get_parameter("weight")


def rounded_input(layer: nn.Module, x: Tensor) -> Tensor:
    """An input as ``layer`` takes it, for code that runs a layer's arithmetic itself."""
    return layer.rounded(x) if isinstance(layer, QuantizedLayer) else x


def refresh(root: nn.Module) -> None:
    """Make the float weights of all int8 layers now, not in the first pass."""
    for module in root.modules():
        if isinstance(module, QuantizedLayer):
            module.float_weight()


def _version(tensor: Tensor) -> tuple[int, int]:
    """Changes whenever the tensor is written in place or replaced."""
    return id(tensor), 0 if tensor.is_inference() else tensor._version


class QuantLinear(QuantizedLayer):
    """A linear layer with int8 weights."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(self.rounded(x), self.float_weight(), self.bias)


class QuantConv2d(QuantizedLayer):
    """A two-dimensional convolution with int8 weights."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(layer)
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, F, T) to (B, out, F', T')."""
        x, weight = self.rounded(x), self.float_weight()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, groups=self.groups)


class QuantConv1d(QuantizedLayer):
    """A one-dimensional convolution over (B, channels, L) with int8 weights."""

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__(layer)
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, L) to (B, out, L')."""
        x, weight = self.rounded(x), self.float_weight()
        return F.conv1d(x, weight, self.bias, self.stride, self.padding, groups=self.groups)


class QuantTokenConv(QuantConv1d):
    """The student's depthwise convolution over tokens (B, L, channels) with int8 weights."""

    def __init__(self, layer: TokenConv) -> None:
        super().__init__(layer)
        self.reach = layer.reach

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along tokens."""
        rows = x.transpose(1, 2)  # (B, channels, L)
        if self.reach:
            rows = F.pad(rows, (self.reach, 0))
        return super().forward(rows).transpose(1, 2)  # (B, L, channels)

    def initial_inputs(self, batch: int = 1) -> Tensor:
        """As of the float layer."""
        return torch.zeros(batch, self.reach, self.weight.shape[0])

    def step(self, row: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As of the float layer: row (B, 1, channels), inputs (B, reach, channels)."""
        rows = torch.cat([inputs, row], dim=1)  # (B, d_conv, channels)
        rounded = self.rounded(rows).transpose(1, 2)  # (B, channels, d_conv)
        out = F.conv1d(rounded, self.float_weight(), self.bias, groups=self.groups)
        return out.transpose(1, 2), rows[:, 1:]


def quantized_layer(layer: nn.Module) -> QuantizedLayer | None:
    """The int8 twin of a layer, weights still to be set; ``None`` for layers that have none."""
    if isinstance(layer, TokenConv):
        return QuantTokenConv(layer)
    if isinstance(layer, nn.Conv2d):
        return QuantConv2d(layer)
    if isinstance(layer, nn.Conv1d):
        return QuantConv1d(layer)
    return QuantLinear(layer) if isinstance(layer, nn.Linear) else None


def replace_layer(root: nn.Module, name: str, round_input: bool = False) -> QuantizedLayer:
    """Put the int8 twin in the place of the layer ``name`` and return it.

    ``round_input`` gives it an ``input_grid``, to be set by the caller.

    Raises:
        TypeError: If that layer has no int8 form.
        AttributeError: If there is no such layer.
    """
    parent_name, _, child = name.rpartition(".")
    parent = root.get_submodule(parent_name)
    small = quantized_layer(parent.get_submodule(child))
    if small is None:
        raise TypeError(f"the layer {name} has no int8 form")
    setattr(parent, child, small.with_rounded_input() if round_input else small)
    return small
