"""The convolution over tokens in two dimensions: onnxruntime's blocked kernel takes no others."""

from __future__ import annotations

from enum import Enum

import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.models.quantized import QuantTokenConv, float_weight, rounded_input
from aum_edge.ssm.layers import TokenConv


class Tokens(Enum):
    """Where a layer's tokens are; the value is how that becomes (batch, channels, 1, L)."""

    FIRST = (1, 3, 2, 0)
    """(L, batch, 1, channels)."""
    SECOND = (0, 2, 1)
    """(batch, L, channels)."""
    LAST = (0, 1, 2)
    """(batch, channels, L)."""


class FlatConv(nn.Module):
    """A convolution along tokens as one of a picture that is one pixel high.

    Shape: the layout of ``tokens``, to the same.
    """

    def __init__(self, layer: TokenConv | QuantTokenConv, tokens: Tokens) -> None:
        super().__init__()
        self.layer = [layer]
        """In a list: its weights are in ``weight`` and ``bias``, under the names they had."""
        self.weight = nn.Parameter(float_weight(layer).detach().clone(), requires_grad=False)
        self.bias = layer.bias
        self.sides = layer.reach, int(layer.padding[0])
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along tokens."""
        x = rounded_input(self.layer[0], x)
        first = self.tokens is Tokens.FIRST
        rows = x.permute(self.tokens.value)
        rows = rows if first else rows.unsqueeze(2)  # (batch, channels, 1, L)
        reach, padding = self.sides
        if reach:
            rows = F.pad(rows, (reach, 0))
        groups = self.weight.shape[0]
        y = F.conv2d(rows, self.weight.unsqueeze(2), self.bias, 1, (0, padding), 1, groups)
        return y.permute(3, 0, 2, 1) if first else y.squeeze(2).permute(self.tokens.value)


def replace_convolutions(mixer: nn.Module, tokens: Tokens) -> None:
    """Replace a mixer's convolutions by flat ones; ``tokens`` is their layout."""
    for name, layer in list(mixer.named_children()):
        if isinstance(layer, TokenConv | QuantTokenConv):
            setattr(mixer, name, FlatConv(layer, tokens))
