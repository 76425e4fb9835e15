"""S6: a student's selective scan, in one direction or both at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import RMSNorm, TokenConv, softplus
from aum_edge.ssm.mixers.base import DIRECTIONS, MixerSizes, State, StudentMixer
from aum_edge.ssm.mixers.registry import register_mixer
from aum_edge.ssm.mixers.selective_scan import (
    SelectiveScanMixer,
    initial_A_log,
    initial_dt_proj,
)
from aum_edge.ssm.scan.operator import scan


@register_mixer("s6")
class S6Mixer(SelectiveScanMixer, StudentMixer):
    """Mamba's selective scan; bidirectional is the mean of the scans run both ways.

    Separate directions have a convolution, x_proj, dt_proj, A and D of their own; the backward
    ones' names end in ``_b``.

    Shape: (B, L, d_model) to the same. Source: arXiv 2312.00752; separate: arXiv 2401.09417.
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

    @classmethod
    def from_sizes(cls, sizes: MixerSizes) -> Self:
        """The mixer of a block's sizes; ``head_dim`` has no use here."""
        return cls(
            sizes.d_model,
            d_inner=sizes.d_inner,
            d_state=sizes.d_state,
            d_conv=sizes.d_conv,
            bidirectional=sizes.bidirectional,
            dt_rank=sizes.dt_rank,
            directions=sizes.directions,
            separate=sizes.separate,
        )

    @property
    def reversals(self) -> tuple[bool, ...]:
        """Whether each scan runs from the end."""
        return DIRECTIONS[self.directions]

    @property
    def paths(self) -> tuple[str, ...]:
        """Suffixes of each path's own parameter names."""
        if not self.separate:
            return ("",)
        return tuple("_b" if reverse else "" for reverse in self.reversals)

    @property
    def directions_are_groups(self) -> bool:
        """Whether both directions run, so that one of them can be pruned."""
        return len(self.reversals) == 2

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)  # (B, L, E) each
        reversals = self.reversals
        if not self.separate:
            y = self._path(u, "", reversals)
        else:
            y = self._path(u, self.paths[0], reversals[:1])
            if len(reversals) == 2:
                y = y + self._path(u, self.paths[1], reversals[1:])
        return self.out_proj(self.norm(y * F.silu(z)))

    def _path(self, u: Tensor, path: str, reversals: tuple[bool, ...]) -> Tensor:
        """Convolution, projections and the scans that share them, with their skip: (B, L, E)."""
        v = F.silu(self.get_submodule(f"conv1d{path}")(u))
        rows = self.get_submodule(f"x_proj{path}")(v)  # (B, L, R + 2 N)
        dt, B, C = rows.split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = softplus(self.get_submodule(f"dt_proj{path}")(dt))  # (B, L, E)
        A = -torch.exp(self.get_parameter(f"A{path}_log"))  # (E, N)
        B, C = B.unsqueeze(2), C.unsqueeze(2)  # (B, L, 1, N) each
        y = scan(v, delta, A, B, C, reversals[0])[0]
        if len(reversals) == 2:
            y = y + scan(v, delta, A, B, C, reversals[1])[0]
        skip = self.get_parameter(f"D{path}") * v
        if not self.bidirectional:
            return y + skip
        return 0.5 * (y + skip) if self.separate else 0.5 * y + skip

    def initial_state(self, batch: int = 1) -> State:
        """The convolution's inputs (B, d_conv - 1, E) and the scan's state (B, E, N)."""
        return {
            "conv1d": self.conv1d.initial_inputs(batch),
            "scan": torch.zeros(batch, self.d_inner, self.d_state),
        }

    def step(self, x: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """H = exp(delta A) h + delta B v; y = C h + D v, of one token (B, 1, d_model)."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)  # (B, 1, E) each
        u, inputs = self.conv1d.step(u, state["conv1d"])
        v = F.silu(u).squeeze(1)  # (B, E)
        dt, B, C = self.x_proj(v).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = softplus(self.dt_proj(dt))  # (B, E)
        decay = torch.exp(delta.unsqueeze(2) * -torch.exp(self.A_log))  # (B, E, N)
        h = decay * state["scan"] + (delta * v).unsqueeze(2) * B.unsqueeze(1)  # (B, E, N)
        y = torch.matmul(h, C.unsqueeze(2)).squeeze(2)  # (B, E)
        y = (y + self.D * v).unsqueeze(1)  # (B, 1, E)
        return self.out_proj(self.norm(y * F.silu(z))), {"conv1d": inputs, "scan": h}
