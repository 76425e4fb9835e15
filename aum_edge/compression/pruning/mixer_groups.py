"""The groups inside one mixer: channels or heads, states, delta's rank, directions."""

from __future__ import annotations

from torch import nn

from aum_edge.compression.pruning.config import Dimension
from aum_edge.compression.pruning.groups import Gate, Group, GroupMember
from aum_edge.errors import CompressionError
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer
from aum_edge.ssm.mixers.mamba import MambaMixer
from aum_edge.ssm.mixers.s6 import S6Mixer
from aum_edge.ssm.mixers.ssd import SSDMixer

MIN_INNER = 8
MIN_STATE = 2
MIN_DT_RANK = 1
MIN_HEADS = 1


def groups_of(mixer: nn.Module) -> dict[Dimension, Group]:
    """The groups of a mixer by dimension; names are relative to it.

    Raises:
        CompressionError: the mixer is none of those that are known.
    """
    if isinstance(mixer, SSDMixer):
        groups = [_heads(mixer), _ssd_states(mixer)]
    elif isinstance(mixer, S6Mixer | MambaMixer):
        groups = [_inner(mixer), _states(mixer), _dt_rank(mixer)]
    elif isinstance(mixer, GatedConvMixer):
        groups = [_inner(mixer)]
    else:
        raise CompressionError(
            f"No pruning groups for a {type(mixer).__name__}; "
            "allowed are MambaMixer, S6Mixer, SSDMixer and GatedConvMixer."
        )
    if len(ways_of(mixer)) == 2 and not isinstance(mixer, MambaMixer):
        groups.append(_directions(mixer))
    return {group.dimension: group for group in groups}


def ways_of(mixer: nn.Module) -> tuple[str, ...]:
    """The directions that a mixer scans in: forward, backward, or both in this order."""
    if isinstance(mixer, SSDMixer):
        return tuple("backward" if reverse else "forward" for reverse in mixer.ways)
    if isinstance(mixer, S6Mixer):
        both = mixer.directions == "both"
        return ("forward", "backward") if both else (mixer.directions,)
    both = isinstance(mixer, MambaMixer) and mixer.direction != "fo-fo"
    return ("forward", "backward") if both else ("forward",)


def _directions(mixer: nn.Module) -> Group:
    """One of two directions; what S6 has for one of them alone goes by name."""
    members: tuple[GroupMember, ...] = ()
    if isinstance(mixer, SSDMixer):
        inner, pair = mixer.d_inner, 2 * mixer.d_state
        steps = inner + mixer.mixed
        rows = ((steps, mixer.heads),)
        own = mixer.sets == 2
        members = (
            GroupMember(
                name="in_proj", kind="out", spans=((2 * inner, pair), *rows) if own else rows
            ),
            *([GroupMember(name="conv1d", kind="out", spans=((inner, pair),))] if own else []),
            GroupMember(name="A_log", kind="parameter"),
            GroupMember(name="dt_bias", kind="parameter"),
        )
    return Group(dimension="direction", units=2, minimum=1, members=members)


def _paths(mixer: nn.Module) -> tuple[str, ...]:
    """Endings of the names of what each direction has for itself."""
    return tuple(path for path in ("", "_b") if hasattr(mixer, f"conv1d{path}"))


def _decays(mixer: nn.Module) -> tuple[str, ...]:
    return tuple(name for name in ("A_log", "A_b_log") if hasattr(mixer, name))


def _inner(mixer: S6Mixer | MambaMixer | GatedConvMixer) -> Group:
    members = [GroupMember(name="in_proj", kind="out", spans=((0, 1), (mixer.d_inner, 1)))]
    for path in _paths(mixer):
        members.append(GroupMember(name=f"conv1d{path}", kind="out"))
        if isinstance(mixer, GatedConvMixer):
            continue
        members += [
            GroupMember(name=f"x_proj{path}", kind="in"),
            GroupMember(name=f"dt_proj{path}", kind="out"),
            GroupMember(name=f"D{path}", kind="parameter"),
        ]
    members += [GroupMember(name=name, kind="parameter") for name in _decays(mixer)]
    normed = not isinstance(mixer, MambaMixer)
    if normed:
        members.append(GroupMember(name="norm.weight", kind="parameter"))
    members.append(GroupMember(name="out_proj", kind="in"))
    readers = [f"x_proj{path}" for path in _paths(mixer) if hasattr(mixer, f"x_proj{path}")]
    readers.append("norm" if normed else "out_proj")
    return Group(
        dimension="inner",
        units=mixer.d_inner,
        minimum=MIN_INNER,
        members=tuple(members),
        norms=("norm.weight",) if normed else (),
        gates=tuple(Gate(module=reader, side="in") for reader in readers),
    )


def _states(mixer: S6Mixer | MambaMixer) -> Group:
    rank, states = mixer.dt_rank, mixer.d_state
    rows = ((rank, 1), (rank + states, 1))
    members = [GroupMember(name=f"x_proj{path}", kind="out", spans=rows) for path in _paths(mixer)]
    members += [GroupMember(name=name, kind="parameter", dim=1) for name in _decays(mixer)]
    read = rows[1:]
    return Group(
        dimension="state",
        units=states,
        minimum=MIN_STATE,
        members=tuple(members),
        gates=tuple(Gate(module=f"x_proj{path}", side="out", spans=read) for path in _paths(mixer)),
    )


def _dt_rank(mixer: S6Mixer | MambaMixer) -> Group:
    members: list[GroupMember] = []
    for path in _paths(mixer):
        members += [
            GroupMember(name=f"x_proj{path}", kind="out"),
            GroupMember(name=f"dt_proj{path}", kind="in"),
        ]
    return Group(
        dimension="dt_rank",
        units=mixer.dt_rank,
        minimum=MIN_DT_RANK,
        members=tuple(members),
        gates=tuple(Gate(module=f"dt_proj{path}", side="in") for path in _paths(mixer)),
    )


def _heads(mixer: SSDMixer) -> Group:
    """Rows of in_proj are z, u, each set of B and C, then one of dt a direction and head."""
    inner, size, heads = mixer.d_inner, mixer.head_dim, mixer.heads
    steps = inner + mixer.mixed
    rows = [(0, size), (inner, size)]
    rows += [(steps + direction * heads, 1) for direction in range(mixer.directions)]
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


def _ssd_states(mixer: SSDMixer) -> Group:
    inner, states = mixer.d_inner, mixer.d_state
    starts = [inner + part * states for part in range(2 * mixer.sets)]
    return Group(
        dimension="state",
        units=states,
        minimum=MIN_STATE,
        members=(
            GroupMember(name="in_proj", kind="out", spans=tuple((inner + s, 1) for s in starts)),
            GroupMember(name="conv1d", kind="out", spans=tuple((s, 1) for s in starts)),
        ),
        gates=(Gate(module="conv1d", side="out", spans=tuple((s, 1) for s in starts[1::2])),),
    )
