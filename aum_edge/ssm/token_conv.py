"""Convolution along tokens."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm import choice, cuda


class TokenConv(nn.Conv1d):
    """Depthwise convolution over tokens (batch, L, channels): centred, or causal."""

    def __init__(self, channels: int, d_conv: int, causal: bool) -> None:
        padding = 0 if causal else d_conv // 2
        super().__init__(channels, channels, d_conv, groups=channels, padding=padding)
        self.reach = d_conv - 1 if causal else 0

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along tokens; causal reaches only to the left."""
        if self.reach and choice.fast_convolution(self, x):
            return cuda.convolution(self, x)
        rows = x.transpose(1, 2)
        if self.reach:
            rows = F.pad(rows, (self.reach, 0))
        return super().forward(rows).transpose(1, 2)
