"""Mixers of the small students: an S6 and an SSD, both able to look at both directions at once.

Both directions share the convolution and all projections, so the second one costs no weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm import choice, cuda
from aum_edge.ssm.core import scan
from aum_edge.ssm.mixer import initial_A_log, initial_dt, initial_dt_proj
from aum_edge.ssm.norm import RMSNorm
from aum_edge.ssm.softplus import softplus
from aum_edge.ssm.ssd import ssd


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


class S6Mixer(nn.Module):
    """Mamba's selective scan; bidirectional is the mean of the same scan run both ways.

    Shape: (batch, L, d_model) to the same. Source: arXiv 2312.00752.
    """

    def __init__(
        self,
        d_model: int,
        *,
        d_inner: int,
        d_state: int,
        d_conv: int,
        bidirectional: bool,
        dt_rank: int,
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.dt_rank = d_inner, d_state, dt_rank
        self.bidirectional = bidirectional
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.conv1d = TokenConv(d_inner, d_conv, causal=not bidirectional)
        self.x_proj = nn.Linear(d_inner, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = initial_dt_proj(dt_rank, d_inner)
        self.A_log = nn.Parameter(initial_A_log(d_inner, d_state))
        self.D = nn.Parameter(torch.ones(d_inner))
        self.norm = RMSNorm(d_inner)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)
        v = F.silu(self.conv1d(u))
        dt, B, C = self.x_proj(v).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = softplus(self.dt_proj(dt))
        A, B, C = -torch.exp(self.A_log), B.unsqueeze(2), C.unsqueeze(2)
        y, _ = scan(v, delta, A, B, C, False)
        if self.bidirectional:
            backward, _ = scan(v, delta, A, B, C, True)
            y = 0.5 * (y + backward)
        y = y + self.D * v
        return self.out_proj(self.norm(y * F.silu(z)))


class SSDMixer(nn.Module):
    """State space duality with one decay a head and direction, in matrix form.

    Shape: (batch, L, d_model) to the same. Source: arXiv 2405.21060.
    """

    def __init__(
        self,
        d_model: int,
        *,
        d_inner: int,
        d_state: int,
        d_conv: int,
        bidirectional: bool,
        head_dim: int,
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.head_dim = d_inner, d_state, head_dim
        self.heads = d_inner // head_dim
        self.directions = 2 if bidirectional else 1
        mixed = d_inner + 2 * d_state
        self.in_proj = nn.Linear(
            d_model, d_inner + mixed + self.heads * self.directions, bias=False
        )
        self.conv1d = TokenConv(mixed, d_conv, causal=not bidirectional)
        shape = (self.directions, self.heads)
        self.A_log = nn.Parameter(torch.log(1 + 15 * torch.rand(shape)))
        self.dt_bias = nn.Parameter(initial_dt(self.directions * self.heads).reshape(shape))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = RMSNorm(d_inner)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        mixed = self.d_inner + 2 * self.d_state
        steps = self.heads * self.directions
        z, rows, dt = self.in_proj(x).split([self.d_inner, mixed, steps], dim=-1)
        rows = F.silu(self.conv1d(rows))
        u, B, C = rows.split([self.d_inner, self.d_state, self.d_state], dim=-1)
        u = u.unflatten(2, (self.heads, self.head_dim))
        dt = softplus(dt.unflatten(2, (self.directions, self.heads)) + self.dt_bias)
        y = ssd(u, dt, -torch.exp(self.A_log), B, C) + self.D.unsqueeze(1) * u
        return self.out_proj(self.norm(y.flatten(2) * F.silu(z)))
