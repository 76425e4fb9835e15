"""S6: a student's selective scan, in one direction or both at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import RMSNorm, TokenConv, softplus
from aum_edge.ssm.mixers.directions import DIRECTIONS
from aum_edge.ssm.mixers.mamba import initial_A_log, initial_dt_proj
from aum_edge.ssm.scan.operator import scan


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
        return tuple("_b" if reverse else "" for reverse in DIRECTIONS[self.directions])

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)
        ways = DIRECTIONS[self.directions]
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
