"""Layers whose weights are stored as int8 with one scale an output channel.

They compute in float32 with the weight int8 * scale, made once when they are first used. The
stored tensors are parameters, so the challenge's own script counts their bytes as they are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.student_mixer import TokenConv


class QuantizedLayer(nn.Module):
    """int8 ``weight``, float ``scale`` (out,), optional ``bias``; the float layer is a template."""

    def __init__(self, layer: nn.Linear | nn.Conv1d | nn.Conv2d) -> None:
        super().__init__()
        empty = torch.zeros(layer.weight.shape, dtype=torch.int8)
        self.weight = nn.Parameter(empty, requires_grad=False)
        self.scale = nn.Parameter(torch.ones(layer.weight.shape[0]), requires_grad=False)
        self.bias = None
        if layer.bias is not None:
            self.bias = nn.Parameter(layer.bias.detach().clone(), requires_grad=False)
        self._cache: tuple[int, Tensor] | None = None

    def float_weight(self) -> Tensor:
        """The weight as it is computed with: int8 times its channel's scale."""
        version = self.weight._version + self.scale._version
        cached = self._cache
        if cached is None or cached[0] != version or cached[1].device != self.scale.device:
            shape = (-1, *[1] * (self.weight.ndim - 1))
            value = self.weight.detach().to(self.scale) * self.scale.detach().view(shape)
            self._cache = (version, value)
            return value
        return cached[1]

    def __deepcopy__(self, memo: dict[int, Any]) -> QuantizedLayer:
        """Copy the stored tensors; the cached float weight is made anew."""
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        nn.Module.__init__(copy)
        for name, value in self.__dict__.items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            copy.__dict__[name] = None if name == "_cache" else value
        for name, parameter in self._parameters.items():
            stored = None
            if parameter is not None:
                stored = nn.Parameter(parameter.detach().clone(), requires_grad=False)
            copy.register_parameter(name, stored)
        return copy


class QuantLinear(QuantizedLayer):
    """A linear layer with int8 weights."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.float_weight(), self.bias)


class QuantConv2d(QuantizedLayer):
    """A two-dimensional convolution with int8 weights."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__(layer)
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, F, T) to (B, out, F', T')."""
        weight = self.float_weight()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, groups=self.groups)


class QuantConv1d(QuantizedLayer):
    """A one-dimensional convolution over (B, channels, L) with int8 weights."""

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__(layer)
        self.stride, self.padding, self.groups = layer.stride, layer.padding, layer.groups

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, L) to (B, out, L')."""
        weight = self.float_weight()
        return F.conv1d(x, weight, self.bias, self.stride, self.padding, groups=self.groups)


class QuantTokenConv(QuantConv1d):
    """The student's depthwise convolution over tokens (B, L, channels) with int8 weights."""

    def __init__(self, layer: nn.Conv1d) -> None:
        super().__init__(layer)
        self.reach = layer.reach

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along tokens."""
        rows = x.transpose(1, 2)
        if self.reach:
            rows = F.pad(rows, (self.reach, 0))
        return super().forward(rows).transpose(1, 2)


def quantized_layer(layer: nn.Module) -> QuantizedLayer | None:
    """The int8 twin of a layer, weights still to be set; ``None`` for layers that have none."""
    kinds: tuple[tuple[type[nn.Module], type[QuantizedLayer]], ...] = (
        (TokenConv, QuantTokenConv),
        (nn.Conv2d, QuantConv2d),
        (nn.Conv1d, QuantConv1d),
        (nn.Linear, QuantLinear),
    )
    for plain, small in kinds:
        if isinstance(layer, plain):
            return small(layer)  # type: ignore[arg-type]
    return None


def replace_layer(root: nn.Module, name: str) -> QuantizedLayer:
    """Put the int8 twin in the place of the layer ``name`` and return it."""
    parent_name, _, child = name.rpartition(".")
    parent = root.get_submodule(parent_name)
    small = quantized_layer(parent.get_submodule(child))
    if small is None:
        raise TypeError(f"The layer {name} has no int8 form.")
    setattr(parent, child, small)
    return small
