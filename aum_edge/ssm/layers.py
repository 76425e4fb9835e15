"""Layers that mixers share: RMS norm, softplus and the depthwise convolution over tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.scan import cuda_backend, dispatch


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) * weight over the last axis.

    Cost: 3 MACs an element. Source: Zhang & Sennrich, arXiv 1910.07467.
    """

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., size)."""
        mean_square = (x * x).mean(dim=-1, keepdim=True)  # (..., 1)
        return x * torch.rsqrt(mean_square + self.eps) * self.weight


def softplus(x: Tensor) -> Tensor:
    """max(x, 0) + log(1 + exp(-|x|)), elementwise.

    onnxruntime computes its Softplus one scalar at a time, 40 times slower than Exp; this form is
    vectorised there. Absolute error against ``F.softplus`` is below 1e-7 in float32.
    """
    return torch.relu(x) + torch.log(1 + torch.exp(-torch.abs(x)))


class TokenConv(nn.Conv1d):
    """Depthwise convolution over tokens (B, L, channels): centred, or causal.

    ``reach`` is how many tokens a causal one looks back at; 0 for a centred one.
    """

    def __init__(self, channels: int, d_conv: int, causal: bool) -> None:
        padding = 0 if causal else d_conv // 2
        super().__init__(channels, channels, d_conv, groups=channels, padding=padding)
        self.reach = d_conv - 1 if causal else 0

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along tokens; causal reaches only to the left."""
        if self.reach and dispatch.fast_convolution(self, x):
            return cuda_backend.convolution(self, x)
        rows = x.transpose(1, 2)  # (B, channels, L)
        if self.reach:
            rows = F.pad(rows, (self.reach, 0))  # (B, channels, reach + L)
        return super().forward(rows).transpose(1, 2)  # (B, L, channels)

    def initial_inputs(self, batch: int = 1) -> Tensor:
        """Zeros (B, reach, channels): what a causal convolution has seen before a clip."""
        return torch.zeros(batch, self.reach, self.out_channels)

    def step(self, row: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The causal convolution's one output, and the inputs that the next one needs.

        Shape:
            row (B, 1, channels), inputs (B, reach, channels) to the same two.
        """
        rows = torch.cat([inputs, row], dim=1)  # (B, d_conv, channels)
        out = F.conv1d(rows.transpose(1, 2), self.weight, self.bias, groups=self.groups)
        return out.transpose(1, 2), rows[:, 1:]  # (B, 1, channels), (B, reach, channels)
