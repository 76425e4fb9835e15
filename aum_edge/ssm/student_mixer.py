"""Mixers of the small students: an S6 and an SSD, both able to look at both directions at once.

Shared directions have the convolution and all projections in common, so the second one costs no
weights; separate ones have what makes their scan to themselves. A block that has lost a direction
to pruning computes what it computed before with that direction's output at zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.core import scan
from aum_edge.ssm.mixer import initial_A_log, initial_dt, initial_dt_proj
from aum_edge.ssm.norm import RMSNorm
from aum_edge.ssm.softplus import softplus
from aum_edge.ssm.ssd import ssd
from aum_edge.ssm.token_conv import TokenConv

WAYS = {"both": (False, True), "forward": (False,), "backward": (True,)}
"""Whether each scan of a block runs from the end."""


class S6Mixer(nn.Module):
    """Mamba's selective scan; bidirectional is the mean of the scans run both ways.

    Separate directions have a convolution, x_proj, dt_proj, A and D of their own; the backward
    ones' names end in ``_b``.

    Shape: (batch, L, d_model) to the same. Source: arXiv 2312.00752; separate: arXiv 2401.09417.
    """

    conv1d: TokenConv
    x_proj: nn.Linear
    dt_proj: nn.Linear
    A_log: nn.Parameter
    D: nn.Parameter

    def __init__(
        self,
        d_model: int,
        *,
        d_inner: int,
        d_state: int,
        d_conv: int,
        bidirectional: bool,
        dt_rank: int,
        directions: str = "",
        separate: bool = False,
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.dt_rank = d_inner, d_state, dt_rank
        self.bidirectional, self.separate = bidirectional, separate
        self.directions = directions or ("both" if bidirectional else "forward")
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        for path in self.paths:
            conv = TokenConv(d_inner, d_conv, causal=not bidirectional)
            self.add_module(f"conv1d{path}", conv)
            x_proj = nn.Linear(d_inner, dt_rank + 2 * d_state, bias=False)
            self.add_module(f"x_proj{path}", x_proj)
            self.add_module(f"dt_proj{path}", initial_dt_proj(dt_rank, d_inner))
            decay = nn.Parameter(initial_A_log(d_inner, d_state))
            self.register_parameter(f"A{path}_log", decay)
            self.register_parameter(f"D{path}", nn.Parameter(torch.ones(d_inner)))
        self.norm = RMSNorm(d_inner)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """Endings of the names of what each path has for itself."""
        if not self.separate:
            return ("",)
        return tuple("_b" if reverse else "" for reverse in WAYS[self.directions])

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)
        ways = WAYS[self.directions]
        if not self.separate:
            y = self._path(u, "", ways)
        else:
            y = self._path(u, self.paths[0], ways[:1])
            if len(ways) == 2:
                y = y + self._path(u, self.paths[1], ways[1:])
        return self.out_proj(self.norm(y * F.silu(z)))

    def _path(self, u: Tensor, path: str, ways: tuple[bool, ...]) -> Tensor:
        """Convolution, projections and the scans that share them, with their skip."""
        v = F.silu(self.get_submodule(f"conv1d{path}")(u))
        rows = self.get_submodule(f"x_proj{path}")(v)
        dt, B, C = rows.split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = softplus(self.get_submodule(f"dt_proj{path}")(dt))
        A, B, C = -torch.exp(self.get_parameter(f"A{path}_log")), B.unsqueeze(2), C.unsqueeze(2)
        y = scan(v, delta, A, B, C, ways[0])[0]
        if len(ways) == 2:
            y = y + scan(v, delta, A, B, C, ways[1])[0]
        skip = self.get_parameter(f"D{path}") * v
        if not self.bidirectional:
            return y + skip
        return 0.5 * (y + skip) if self.separate else 0.5 * y + skip


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
        self.ways = WAYS[directions or ("both" if bidirectional else "forward")]
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
