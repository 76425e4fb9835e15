"""SSD: a student's state space duality, in one direction or both at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import RMSNorm, TokenConv, softplus
from aum_edge.ssm.mixers.directions import DIRECTIONS
from aum_edge.ssm.mixers.mamba import initial_dt
from aum_edge.ssm.scan.ssd import ssd


class SSDMixer(nn.Module):
    """State space duality with one decay a head and direction, in matrix form.

    Separate directions have B and C of their own; u, z and D are common. Rows of in_proj are z, u,
    B and C of each direction, then one dt a direction and head.

    Shape: (batch, L, d_model) to the same. Source: arXiv 2405.21060; both directions as one
    matrix: arXiv 2407.09941.
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
        directions: str = "",
        separate: bool = False,
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.head_dim = d_inner, d_state, head_dim
        self.bidirectional, self.separate = bidirectional, separate
        self.heads = d_inner // head_dim
        self.ways = DIRECTIONS[directions or ("both" if bidirectional else "forward")]
        self.directions = len(self.ways)
        self.sets = self.directions if separate else 1
        self.mixed = d_inner + 2 * d_state * self.sets
        steps = self.heads * self.directions
        self.in_proj = nn.Linear(d_model, d_inner + self.mixed + steps, bias=False)
        self.conv1d = TokenConv(self.mixed, d_conv, causal=not bidirectional)
        shape = (self.directions, self.heads)
        self.A_log = nn.Parameter(torch.log(1 + 15 * torch.rand(shape)))
        self.dt_bias = nn.Parameter(initial_dt(steps).reshape(shape))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = RMSNorm(d_inner)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        steps = self.heads * self.directions
        z, rows, dt = self.in_proj(x).split([self.d_inner, self.mixed, steps], dim=-1)
        rows = F.silu(self.conv1d(rows))
        u, *BC = rows.split([self.d_inner, *[self.d_state] * (2 * self.sets)], dim=-1)
        u = u.unflatten(2, (self.heads, self.head_dim))
        dt = softplus(dt.unflatten(2, (self.directions, self.heads)) + self.dt_bias)
        A = -torch.exp(self.A_log)
        if self.sets == 1:
            y = ssd(u, dt, A, *BC, ways=self.ways)
        else:
            y = ssd(u, dt[:, :, :1], A[:1], *BC[:2], ways=self.ways[:1])
            y = y + ssd(u, dt[:, :, 1:], A[1:], *BC[2:], ways=self.ways[1:])
        y = y + self.D.unsqueeze(1) * u
        return self.out_proj(self.norm(y.flatten(2) * F.silu(z)))
