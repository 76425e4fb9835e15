"""Gated convolution: a student's mixer without its state space, the control of ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import RMSNorm, TokenConv
from aum_edge.ssm.mixers.base import (
    MixerSizes,
    PathEnergies,
    State,
    StudentMixer,
    gate_energy,
    kernel_energy,
)
from aum_edge.ssm.mixers.groups import MIN_INNER, Gate, Group, GroupMember
from aum_edge.ssm.mixers.registry import register_mixer


@register_mixer("none")
class GatedConvMixer(StudentMixer):
    """Gated convolution out_proj(norm(silu(conv(u)) * silu(z))): the ablation without a scan.

    Shape: (B, L, d_model) to the same. After the gated convolution block of MambaOut, Yu and
    Wang, arXiv 2405.07992, with the student's own activation and norm.
    """

    scans: ClassVar[bool] = False

    def __init__(self, d_model: int, *, d_inner: int, d_conv: int, causal: bool) -> None:
        super().__init__()
        self.d_inner = d_inner
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.conv1d = TokenConv(d_inner, d_conv, causal)
        self.norm = RMSNorm(d_inner)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    @classmethod
    def from_sizes(cls, sizes: MixerSizes) -> Self:
        """The mixer of a block's width and kernel; its other sizes have no use here."""
        causal = not sizes.bidirectional
        return cls(sizes.d_model, d_inner=sizes.d_inner, d_conv=sizes.d_conv, causal=causal)

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)  # (B, L, E) each
        return self.out_proj(self.norm(F.silu(self.conv1d(u)) * F.silu(z)))

    def initial_state(self, batch: int = 1) -> State:
        """The convolution's inputs (B, d_conv - 1, E)."""
        return {"conv1d": self.conv1d.initial_inputs(batch)}

    def step(self, x: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """One token (B, 1, d_model)."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)  # (B, 1, E) each
        u, inputs = self.conv1d.step(u, state["conv1d"])
        return self.out_proj(self.norm(F.silu(u) * F.silu(z))), {"conv1d": inputs}

    def pruning_groups(self) -> Sequence[Group]:
        """Inner channels."""
        inner = Group(
            dimension="inner",
            units=self.d_inner,
            minimum=MIN_INNER,
            members=(
                GroupMember(name="in_proj", kind="out", spans=((0, 1), (self.d_inner, 1))),
                GroupMember(name="conv1d", kind="out"),
                GroupMember(name="norm.weight", kind="parameter"),
                GroupMember(name="out_proj", kind="in"),
            ),
            norms=("norm.weight",),
            gates=(Gate(module="norm", side="in"),),
        )
        return (inner,)

    def path_energies(self) -> PathEnergies:
        """All energy passes the convolution."""
        around = gate_energy(self, gate_first=False)  # (E,)
        skip = kernel_energy(self).reshape(1, -1) * around  # (1, E)
        return PathEnergies(skip, skip.new_zeros(1, self.d_inner, 1))
