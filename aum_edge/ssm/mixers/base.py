"""Base classes of mixers: what a block's mixer, and what a student's mixer has to have.

A mixer maps tokens (B, L, d_model) to the same shape. It owns its forward pass and its pruning
groups; a student's mixer also owns its step form, one token at a time with a state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from aum_edge.ssm.mixers.groups import Group, GroupMember

DIRECTIONS = {"both": (False, True), "forward": (False,), "backward": (True,)}
"""Whether each scan of a block runs from the end.

Shared directions have the convolution and all projections in common, so the second one costs no
weights; separate ones have what makes their scan to themselves. A block that has lost a direction
to pruning computes what it computed before with that direction's output at zero.
"""
State = dict[str, Tensor]
"""What a mixer keeps between two tokens, by name, each (B, ...)."""


@dataclass(frozen=True, kw_only=True)
class MixerSizes:
    """Sizes of one student block. A mixer reads those that it has a use for."""

    d_model: int
    d_inner: int
    d_conv: int
    d_state: int = 16
    dt_rank: int = 1
    head_dim: int = 1
    bidirectional: bool = True
    """``False`` makes the mixer causal."""
    directions: str = "both"
    """A key of ``DIRECTIONS``."""
    separate: bool = False
    """Whether two directions have projections of their own."""


@dataclass(frozen=True)
class PathEnergies:
    """Energy of each path through a mixer, for importance by weights alone.

    Shape:
        skip: (directions or 1, E), around the scan; states: (directions or 1, E, N), through it.
    """

    skip: Tensor
    states: Tensor


class Mixer(nn.Module, ABC):
    """Tokens (B, L, d_model) to the same shape.

    ``in_proj`` alone reads the residual stream and ``out_proj`` alone writes to it, both linear
    layers; a norm over the inner channels, if there is one, is called ``norm``.
    """

    in_proj: nn.Linear
    out_proj: nn.Linear

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens: (B, L, d_model) to the same shape."""

    @abstractmethod
    def pruning_groups(self) -> Sequence[Group]:
        """What can be cut inside this mixer, at most one group a dimension; names are relative.

        There must be a group ``inner`` with a gate before ``norm`` or ``out_proj``.
        """

    @property
    def reversals(self) -> tuple[bool, ...]:
        """Whether each scan of this mixer runs from the end."""
        return (False,)

    def width_members(self) -> tuple[GroupMember, ...]:
        """Slices of d_model: what reads the residual stream and what writes to it."""
        return (
            GroupMember(name="in_proj", kind="in"),
            GroupMember(name="out_proj", kind="out"),
        )

    def path_energies(self) -> PathEnergies | None:
        """Energies of white noise on each path; ``None`` ranks units by their weights alone."""
        return None

    def output_weight(self) -> Tensor:
        """What multiplies the gated channels, (d_model, E): out_proj with the gain of its norm."""
        weight = self.get_parameter("out_proj.weight")
        named = dict(self.named_parameters())
        return weight * named["norm.weight"] if "norm.weight" in named else weight


class StudentMixer(Mixer):
    """A mixer that a student can have: built from sizes, and with a step form if causal."""

    scans: ClassVar[bool] = True
    """Whether it has a state space: ``d_state`` and the directions of its scan mean something."""
    d_inner: int

    @classmethod
    @abstractmethod
    def from_sizes(cls, sizes: MixerSizes) -> Self:
        """The mixer of a block of these sizes, with fresh weights."""

    @classmethod
    def refusal(cls, blocks: Sequence[MixerSizes]) -> str:
        """Why blocks of these sizes cannot be built, in one line; empty if they can."""
        return ""

    @abstractmethod
    def initial_state(self, batch: int = 1) -> State:
        """Zeros: the state before the first token, on the CPU."""

    @abstractmethod
    def step(self, x: Tensor, state: Mapping[str, Tensor]) -> tuple[Tensor, State]:
        """One token (B, 1, d_model) of a causal mixer: its output, and the state after it."""


def direction_group() -> Group:
    """One of two directions, with no slice of a tensor that is theirs alone by index."""
    return Group(dimension="direction", units=2, minimum=1)


def kernel_energy(mixer: nn.Module, path: str = "") -> Tensor:
    """Energy of each channel's convolution kernel, (channels,)."""
    return mixer.get_parameter(f"conv1d{path}.weight").square().sum(dim=(1, 2))


def state_energy(step: Tensor, rate: Tensor) -> Tensor:
    """Energy of a state's impulse response over the tokens: the sum of its decaying squares.

    A state that decays as exp(-k Δ|A|) after a push of Δ holds Δ² / (1 - exp(-2 Δ|A|)).
    """
    return step.square() / -torch.expm1(-2 * step * rate)


def gate_energy(mixer: Mixer, gate_first: bool) -> Tensor:
    """Energy of gate, input and output of each inner channel, (E,).

    ``gate_first``: in_proj's first E rows are the gate's and the next E the input's.
    """
    d_inner = mixer.get_parameter("out_proj.weight").shape[1]
    rows = mixer.get_parameter("in_proj.weight").square().sum(dim=1)
    first, second = rows[:d_inner], rows[d_inner : 2 * d_inner]
    gate, entering = (first, second) if gate_first else (second, first)
    return gate * entering * mixer.output_weight().square().sum(dim=0)
