"""SSD: a student's state space duality, in one direction or both at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import RMSNorm, TokenConv, softplus
from aum_edge.ssm.mixers.base import (
    DIRECTIONS,
    MixerSizes,
    PathEnergies,
    State,
    StudentMixer,
    gate_energy,
    kernel_energy,
    state_energy,
)
from aum_edge.ssm.mixers.groups import (
    MIN_HEAD_DIM,
    MIN_HEADS,
    MIN_STATE,
    Gate,
    Group,
    GroupMember,
)
from aum_edge.ssm.mixers.registry import register_mixer
from aum_edge.ssm.mixers.selective_scan import initial_dt
from aum_edge.ssm.scan.ssd import ssd


@register_mixer("ssd")
class SSDMixer(StudentMixer):
    """State space duality with one decay a head and direction, in matrix form.

    Separate directions have B and C of their own; u, z and D are common. Rows of in_proj are z, u,
    B and C of each direction, then one dt a direction and head.

    Shape: (B, L, d_model) to the same. Source: arXiv 2405.21060; both directions as one
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
        self._reversals = DIRECTIONS[directions or ("both" if bidirectional else "forward")]
        self.directions = len(self._reversals)
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

    @classmethod
    def from_sizes(cls, sizes: MixerSizes) -> Self:
        """The mixer of a block's sizes; ``dt_rank`` has no use here."""
        return cls(
            sizes.d_model,
            d_inner=sizes.d_inner,
            d_state=sizes.d_state,
            d_conv=sizes.d_conv,
            bidirectional=sizes.bidirectional,
            head_dim=sizes.head_dim,
            directions=sizes.directions,
            separate=sizes.separate,
        )

    @classmethod
    def refusal(cls, blocks: Sequence[MixerSizes]) -> str:
        """Channels come in whole heads."""
        bad = [sizes.d_inner for sizes in blocks if sizes.d_inner % sizes.head_dim]
        if not bad:
            return ""
        return (
            f"SSD needs inner channels in whole heads of {blocks[0].head_dim}, got {bad}; "
            "change `d_model`, `expand` or `head_dim`."
        )

    @property
    def reversals(self) -> tuple[bool, ...]:
        """Whether each scan runs from the end."""
        return self._reversals

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        steps = self.heads * self.directions
        z, rows, dt = self.in_proj(x).split([self.d_inner, self.mixed, steps], dim=-1)
        rows = F.silu(self.conv1d(rows))  # (B, L, E + 2 N sets)
        u, *BC = rows.split([self.d_inner, *[self.d_state] * (2 * self.sets)], dim=-1)
        u = u.unflatten(2, (self.heads, self.head_dim))  # (B, L, H, P)
        dt = dt.unflatten(2, (self.directions, self.heads))  # (B, L, dirs, H)
        dt = softplus(dt + self.dt_bias)
        A = -torch.exp(self.A_log)  # (dirs, H)
        if self.sets == 1:
            y = ssd(u, dt, A, *BC, reversals=self.reversals)
        else:
            y = ssd(u, dt[:, :, :1], A[:1], *BC[:2], reversals=self.reversals[:1])
            y = y + ssd(u, dt[:, :, 1:], A[1:], *BC[2:], reversals=self.reversals[1:])
        y = y + self.D.unsqueeze(1) * u  # (B, L, H, P)
        return self.out_proj(self.norm(y.flatten(2) * F.silu(z)))

    def initial_state(self, batch: int = 1) -> State:
        """The convolution's inputs (B, d_conv - 1, E + 2 N) and the scan's state (B, E, N)."""
        return {
            "conv1d": self.conv1d.initial_inputs(batch),
            "scan": torch.zeros(batch, self.d_inner, self.d_state),
        }

    def step(self, x: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """S6's recurrence with one decay a head, of one token (B, 1, d_model).

        Source: arXiv 2405.21060, section 3.
        """
        z, rows, dt = self.in_proj(x).split([self.d_inner, self.mixed, self.heads], dim=-1)
        rows, inputs = self.conv1d.step(rows, state["conv1d"])
        rows = F.silu(rows).squeeze(1)  # (B, E + 2 N)
        u, B, C = rows.split([self.d_inner, self.d_state, self.d_state], dim=-1)
        delta, width = softplus(dt.squeeze(1) + self.dt_bias[0]), self.head_dim  # (B, H)
        decay = torch.exp(delta * -torch.exp(self.A_log[0]))  # (B, H)
        decay = decay.repeat_interleave(width, dim=1)  # (B, E)
        push = delta.repeat_interleave(width, dim=1) * u  # (B, E)
        h = decay.unsqueeze(2) * state["scan"] + push.unsqueeze(2) * B.unsqueeze(1)  # (B, E, N)
        y = torch.matmul(h, C.unsqueeze(2)).squeeze(2)  # (B, E)
        y = (y + self.D.repeat_interleave(width) * u).unsqueeze(1)  # (B, 1, E)
        return self.out_proj(self.norm(y * F.silu(z))), {"conv1d": inputs, "scan": h}

    def pruning_groups(self) -> Sequence[Group]:
        """Whole heads, states, one of two directions, and one channel of every head."""
        groups = [self._head_group(), self._state_group()]
        if self.directions == 2:
            groups.append(self._direction_group())
        return [*groups, self._head_dim_group()]

    def _head_group(self) -> Group:
        """Rows of in_proj are z, u, each set of B and C, then one of dt a direction and head."""
        d_inner, size, heads = self.d_inner, self.head_dim, self.heads
        steps = d_inner + self.mixed
        rows = [(0, size), (d_inner, size)]
        rows += [(steps + direction * heads, 1) for direction in range(self.directions)]
        channels = ((0, size),)
        return Group(
            dimension="inner",
            units=heads,
            minimum=MIN_HEADS,
            width=size,
            members=(
                GroupMember(name="in_proj", kind="out", spans=tuple(rows)),
                GroupMember(name="conv1d", kind="out", spans=channels),
                GroupMember(name="A_log", kind="parameter", dim=1),
                GroupMember(name="dt_bias", kind="parameter", dim=1),
                GroupMember(name="D", kind="parameter"),
                GroupMember(name="norm.weight", kind="parameter", spans=channels),
                GroupMember(name="out_proj", kind="in", spans=channels),
            ),
            norms=("norm.weight",),
            gates=(Gate(module="norm", side="in", spans=channels),),
        )

    def _state_group(self) -> Group:
        d_inner, count = self.d_inner, self.d_state
        starts = [d_inner + part * count for part in range(2 * self.sets)]
        rows = tuple((start, 1) for start in starts)
        return Group(
            dimension="state",
            units=count,
            minimum=MIN_STATE,
            members=(
                GroupMember(
                    name="in_proj", kind="out", spans=tuple((d_inner + s, 1) for s in starts)
                ),
                GroupMember(name="conv1d", kind="out", spans=rows),
            ),
            gates=(Gate(module="conv1d", side="out", spans=rows[1::2]),),
        )

    def _direction_group(self) -> Group:
        d_inner, pair = self.d_inner, 2 * self.d_state
        rows = ((d_inner + self.mixed, self.heads),)
        own = self.sets == 2
        spans = ((2 * d_inner, pair), *rows) if own else rows
        convolved = [GroupMember(name="conv1d", kind="out", spans=((d_inner, pair),))]
        return Group(
            dimension="direction",
            units=2,
            minimum=1,
            members=(
                GroupMember(name="in_proj", kind="out", spans=spans),
                *(convolved if own else []),
                GroupMember(name="A_log", kind="parameter"),
                GroupMember(name="dt_bias", kind="parameter"),
            ),
        )

    def _head_dim_group(self) -> Group:
        """Unit p is channel p of every head: all heads of all blocks have one size."""
        size = self.head_dim
        channels = tuple((head * size, 1) for head in range(self.heads))
        rows = tuple((self.d_inner + start, 1) for start, _ in channels)
        return Group(
            dimension="head_dim",
            units=size,
            minimum=MIN_HEAD_DIM,
            shared=True,
            members=(
                GroupMember(name="in_proj", kind="out", spans=channels + rows),
                GroupMember(name="conv1d", kind="out", spans=channels),
                GroupMember(name="norm.weight", kind="parameter", spans=channels),
                GroupMember(name="out_proj", kind="in", spans=channels),
            ),
            norms=("norm.weight",),
            gates=(Gate(module="norm", side="in", spans=channels),),
        )

    def path_energies(self) -> PathEnergies:
        """Skip D² and states; a head's channels share their step and decay."""
        d_inner, count, kernel = self.d_inner, self.d_state, kernel_energy(self)
        rows = self.get_parameter("in_proj.weight").square().sum(dim=1)
        mixed = rows[d_inner : d_inner + self.mixed] * kernel  # (E + 2 N sets,)
        parts = mixed[d_inner:].reshape(self.sets, 2, count).prod(dim=1)  # (sets, N)
        held = state_energy(F.softplus(self.dt_bias), torch.exp(self.A_log))  # (dirs, H)
        own = kernel[:d_inner]  # (E,)
        channels = held.repeat_interleave(self.head_dim, dim=1) * own  # (dirs, E)
        pairs = parts[:, None, :].expand(len(held), 1, count)  # (dirs, 1, N)
        states = channels[:, :, None] * pairs  # (dirs, E, N)
        skip = self.D.square().repeat_interleave(self.head_dim) * own  # (E,)
        around = gate_energy(self, gate_first=True)  # (E,)
        return PathEnergies(skip.reshape(1, -1) * around, states * around[:, None])
