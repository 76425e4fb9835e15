"""Base of S6 and of upstream's Mamba mixer: initial values, pruning groups, path energies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.mixers.base import (
    Mixer,
    PathEnergies,
    direction_group,
    gate_energy,
    kernel_energy,
    state_energy,
)
from aum_edge.ssm.mixers.groups import (
    MIN_DT_RANK,
    MIN_INNER,
    MIN_STATE,
    Gate,
    Group,
    GroupMember,
)

DT_MIN, DT_MAX = 1e-3, 1e-1


class SelectiveScanMixer(Mixer):
    """A mixer with conv1d, x_proj, dt_proj and D for each of its ``paths``, and decays by name."""

    d_inner: int
    d_state: int
    dt_rank: int

    @property
    def paths(self) -> tuple[str, ...]:
        """Suffixes of each path's own parameter names."""
        return tuple(path for path in ("", "_b") if hasattr(self, f"conv1d{path}"))

    @property
    def decay_names(self) -> tuple[str, ...]:
        """Parameters (E, N) that hold logarithms of decay rates, one a scan."""
        return tuple(name for name in ("A_log", "A_b_log") if hasattr(self, name))

    def decays_of(self, path: str) -> tuple[str, ...]:
        """The decays of the scans that run on what ``path`` computes."""
        own = f"A{path}_log"
        shared = not path and "A_b_log" in self.decay_names and "_b" not in self.paths
        return (own, "A_b_log") if shared else (own,)

    def pruning_groups(self) -> Sequence[Group]:
        """Inner channels, states and the rank of delta."""
        groups = [self._inner_group(), self._state_group(), self._dt_rank_group()]
        return [*groups, direction_group()] if self.directions_are_groups else groups

    @property
    def directions_are_groups(self) -> bool:
        """Whether one of this block's directions can go while other blocks keep both."""
        return False

    def _inner_group(self) -> Group:
        members = [GroupMember(name="in_proj", kind="out", spans=((0, 1), (self.d_inner, 1)))]
        for path in self.paths:
            members += [
                GroupMember(name=f"conv1d{path}", kind="out"),
                GroupMember(name=f"x_proj{path}", kind="in"),
                GroupMember(name=f"dt_proj{path}", kind="out"),
                GroupMember(name=f"D{path}", kind="parameter"),
            ]
        members += [GroupMember(name=name, kind="parameter") for name in self.decay_names]
        normed = hasattr(self, "norm")
        if normed:
            members.append(GroupMember(name="norm.weight", kind="parameter"))
        members.append(GroupMember(name="out_proj", kind="in"))
        readers = [*(f"x_proj{path}" for path in self.paths), "norm" if normed else "out_proj"]
        return Group(
            dimension="inner",
            units=self.d_inner,
            minimum=MIN_INNER,
            members=tuple(members),
            norms=("norm.weight",) if normed else (),
            gates=tuple(Gate(module=reader, side="in") for reader in readers),
        )

    def _state_group(self) -> Group:
        """Rows of x_proj are delta's rank, then B, then C; C's are gated."""
        rank, count = self.dt_rank, self.d_state
        rows = ((rank, 1), (rank + count, 1))
        members = [GroupMember(name=f"x_proj{path}", kind="out", spans=rows) for path in self.paths]
        members += [GroupMember(name=name, kind="parameter", dim=1) for name in self.decay_names]
        read = rows[1:]
        return Group(
            dimension="state",
            units=count,
            minimum=MIN_STATE,
            members=tuple(members),
            gates=tuple(
                Gate(module=f"x_proj{path}", side="out", spans=read) for path in self.paths
            ),
        )

    def _dt_rank_group(self) -> Group:
        members: list[GroupMember] = []
        for path in self.paths:
            members += [
                GroupMember(name=f"x_proj{path}", kind="out"),
                GroupMember(name=f"dt_proj{path}", kind="in"),
            ]
        return Group(
            dimension="dt_rank",
            units=self.dt_rank,
            minimum=MIN_DT_RANK,
            members=tuple(members),
            gates=tuple(Gate(module=f"dt_proj{path}", side="in") for path in self.paths),
        )

    def path_energies(self) -> PathEnergies:
        """Skip D² and states beside each other, by path and scan."""
        rank, count = self.dt_rank, self.d_state
        skips, states = [], []
        for path in self.paths:
            kernel = kernel_energy(self, path)  # (E,)
            step = F.softplus(self.get_parameter(f"dt_proj{path}.bias")).unsqueeze(1)  # (E, 1)
            rows = self.get_parameter(f"x_proj{path}.weight").square().sum(dim=1)  # (R + 2 N,)
            B, C = rows[rank : rank + count], rows[rank + count :]  # (N,) each
            skips.append(self.get_parameter(f"D{path}").square() * kernel)  # (E,)
            for name in self.decays_of(path):
                rate = torch.exp(self.get_parameter(name))  # (E, N)
                states.append(state_energy(step, rate) * B * C * kernel[:, None])  # (E, N)
        around = gate_energy(self, gate_first=False)  # (E,)
        return PathEnergies(torch.stack(skips) * around, torch.stack(states) * around[:, None])


def initial_A_log(channels: int, d_state: int) -> Tensor:
    """log(1 .. N) in every channel (S4D-real, arXiv 2206.11893): (channels, N)."""
    return torch.log(torch.arange(1, d_state + 1, dtype=torch.float32)).repeat(channels, 1)


def initial_dt(count: int) -> Tensor:
    """Biases (count,) whose softplus is log-uniform between 1e-3 and 1e-1."""
    dt = torch.exp(torch.rand(count) * (math.log(DT_MAX) - math.log(DT_MIN)) + math.log(DT_MIN))
    return dt + torch.log(-torch.expm1(-dt))


def initial_dt_proj(dt_rank: int, channels: int) -> nn.Linear:
    """The Delta projection with Mamba's initial spread and bias."""
    layer = nn.Linear(dt_rank, channels)
    nn.init.uniform_(layer.weight, -(dt_rank**-0.5), dt_rank**-0.5)
    with torch.no_grad():
        layer.bias.copy_(initial_dt(channels))
    return layer
