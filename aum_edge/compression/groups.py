"""Which slices of a mixer's tensors live and die together.

Automatic tracing mixes the channels of a Mamba block (its projections are split and recombined
around an operator no tracer understands), so the ties are written down here, mixer by mixer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import nn

from aum_edge.compression.config import Dimension
from aum_edge.errors import CompressionError
from aum_edge.ssm.mixer import MambaMixer
from aum_edge.ssm.student_mixer import S6Mixer, SSDMixer

MIN_INNER = 8
MIN_STATE = 2
MIN_DT_RANK = 1
MIN_HEADS = 1
FIRST = ((0, 1),)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One tensor's share in a group.

    A span ``(start, width)`` gives unit i the indices ``start + i * width`` onwards, ``width`` of
    them. A module that holds a group several times (u and z rows of in_proj) has several spans.
    """

    name: str
    kind: Literal["out", "in", "depthwise", "parameter"]
    spans: tuple[tuple[int, int], ...] = FIRST
    dim: int = 0
    """The axis that is cut; of parameters only."""

    def indices(self, units: Iterable[int]) -> list[int]:
        """Indices that belong to the units, ascending."""
        chosen = list(units)
        return sorted(
            start + unit * width + step
            for start, width in self.spans
            for unit in chosen
            for step in range(width)
        )

    def tensors(self, mixer: nn.Module) -> list[tuple[str, int]]:
        """(parameter name, axis) of every tensor that is cut."""
        if self.kind == "parameter":
            return [(self.name, self.dim)]
        if self.kind == "in":
            return [(f"{self.name}.weight", 1)]
        bias = mixer.get_submodule(self.name).bias
        return [(f"{self.name}.weight", 0)] + ([] if bias is None else [(f"{self.name}.bias", 0)])


@dataclass(frozen=True, kw_only=True)
class Group:
    """A dimension of one mixer: ``units`` that can each be removed, but for ``minimum`` of them."""

    dimension: Dimension
    units: int
    minimum: int
    members: tuple[Member, ...]
    width: int = 1
    """Channels one unit stands for: the head size where heads are removed."""


def groups_of(mixer: nn.Module) -> dict[Dimension, Group]:
    """The groups of a mixer by dimension.

    Raises:
        CompressionError: the mixer is none of MambaMixer, S6Mixer, SSDMixer.
    """
    if isinstance(mixer, SSDMixer):
        groups = [_heads(mixer), _ssd_states(mixer)]
    elif isinstance(mixer, S6Mixer | MambaMixer):
        groups = [_inner(mixer), _states(mixer), _dt_rank(mixer)]
    else:
        raise CompressionError(
            f"No pruning groups for a {type(mixer).__name__}; "
            "allowed are MambaMixer, S6Mixer and SSDMixer."
        )
    return {group.dimension: group for group in groups}


def _paths(mixer: S6Mixer | MambaMixer) -> tuple[str, ...]:
    twin = isinstance(mixer, MambaMixer) and mixer.direction == "bi-bi"
    return ("", "_b") if twin else ("",)


def _decays(mixer: S6Mixer | MambaMixer) -> tuple[str, ...]:
    both = isinstance(mixer, MambaMixer) and mixer.direction != "fo-fo"
    return ("A_log", "A_b_log") if both else ("A_log",)


def _inner(mixer: S6Mixer | MambaMixer) -> Group:
    members = [Member(name="in_proj", kind="out", spans=((0, 1), (mixer.d_inner, 1)))]
    for path in _paths(mixer):
        members += [
            Member(name=f"conv1d{path}", kind="depthwise"),
            Member(name=f"x_proj{path}", kind="in"),
            Member(name=f"dt_proj{path}", kind="out"),
            Member(name=f"D{path}", kind="parameter"),
        ]
    members += [Member(name=name, kind="parameter") for name in _decays(mixer)]
    if isinstance(mixer, S6Mixer):
        members.append(Member(name="norm.weight", kind="parameter"))
    members.append(Member(name="out_proj", kind="in"))
    return Group(dimension="inner", units=mixer.d_inner, minimum=MIN_INNER, members=tuple(members))


def _states(mixer: S6Mixer | MambaMixer) -> Group:
    rank, states = mixer.dt_rank, mixer.d_state
    rows = ((rank, 1), (rank + states, 1))
    members = [Member(name=f"x_proj{path}", kind="out", spans=rows) for path in _paths(mixer)]
    members += [Member(name=name, kind="parameter", dim=1) for name in _decays(mixer)]
    return Group(dimension="state", units=states, minimum=MIN_STATE, members=tuple(members))


def _dt_rank(mixer: S6Mixer | MambaMixer) -> Group:
    members: list[Member] = []
    for path in _paths(mixer):
        members += [
            Member(name=f"x_proj{path}", kind="out"),
            Member(name=f"dt_proj{path}", kind="in"),
        ]
    return Group(
        dimension="dt_rank", units=mixer.dt_rank, minimum=MIN_DT_RANK, members=tuple(members)
    )


def _heads(mixer: SSDMixer) -> Group:
    """Rows of in_proj are z, u, B, C and then one row of dt a direction and head."""
    inner, size, heads = mixer.d_inner, mixer.head_dim, mixer.heads
    steps = 2 * inner + 2 * mixer.d_state
    rows = [(0, size), (inner, size)]
    rows += [(steps + direction * heads, 1) for direction in range(mixer.directions)]
    channels = ((0, size),)
    return Group(
        dimension="inner",
        units=heads,
        minimum=MIN_HEADS,
        width=size,
        members=(
            Member(name="in_proj", kind="out", spans=tuple(rows)),
            Member(name="conv1d", kind="depthwise", spans=channels),
            Member(name="A_log", kind="parameter", dim=1),
            Member(name="dt_bias", kind="parameter", dim=1),
            Member(name="D", kind="parameter"),
            Member(name="norm.weight", kind="parameter", spans=channels),
            Member(name="out_proj", kind="in", spans=channels),
        ),
    )


def _ssd_states(mixer: SSDMixer) -> Group:
    inner, states = mixer.d_inner, mixer.d_state
    rows = ((2 * inner, 1), (2 * inner + states, 1))
    channels = ((inner, 1), (inner + states, 1))
    return Group(
        dimension="state",
        units=states,
        minimum=MIN_STATE,
        members=(
            Member(name="in_proj", kind="out", spans=rows),
            Member(name="conv1d", kind="depthwise", spans=channels),
        ),
    )
