"""Pruning groups: which slices of a network's tensors are removed together.

Automatic tracing mixes the channels of a Mamba block (its projections are split and recombined
around an operator no tracer understands), so the ties are written down. A mixer names those inside
a block (``pruning_groups``), an architecture those that run through the whole network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

Dimension = Literal[
    "inner", "state", "dt_rank", "head_dim", "direction", "block", "d_model", "stem"
]
Key = tuple[int, Dimension]
"""A group's place: the block, or the convolution of the stem; 0 where there is only one."""
Spans = tuple[tuple[int, int], ...]
FIRST: Spans = ((0, 1),)
MIN_INNER = 8
MIN_STATE = 2
MIN_DT_RANK = 1
MIN_HEADS = 1
MIN_HEAD_DIM = 2


def spanned(spans: Spans, units: Iterable[int]) -> list[int]:
    """Indices that belong to the units, ascending."""
    chosen = list(units)
    return sorted(
        start + unit * width + step
        for start, width in spans
        for unit in chosen
        for step in range(width)
    )


@dataclass(frozen=True, kw_only=True)
class GroupMember:
    """One tensor's share in a group.

    A span ``(start, width)`` gives unit i the indices ``start + i * width`` onwards, ``width`` of
    them. A module that holds a group several times (u and z rows of in_proj) has several spans.
    """

    name: str
    kind: Literal["out", "in", "parameter"]
    """out: rows of a module's weight and its bias; in: columns; parameter: of a bare tensor."""
    spans: Spans = FIRST
    dim: int = 0
    """The axis that is cut; of parameters only."""

    def indices(self, units: Iterable[int]) -> list[int]:
        """Indices that belong to the units, ascending."""
        return spanned(self.spans, units)

    def tensors(self, network: nn.Module) -> list[tuple[str, int]]:
        """(parameter name, axis) of every tensor that is cut."""
        if self.kind == "parameter":
            return [(self.name, self.dim)]
        if self.kind == "in":
            return [(f"{self.name}.weight", 1)]
        bias = network.get_submodule(self.name).bias
        return [(f"{self.name}.weight", 0)] + ([] if bias is None else [(f"{self.name}.bias", 0)])


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A module's input or output that is scaled to gate the units of a group."""

    module: str
    side: Literal["in", "out"]
    spans: Spans = FIRST
    axis: int = -1
    """Axis of the channels: -1 of tokens (B, L, C), 1 of images (B, C, F, T)."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Pruning group: ``units`` of one dimension, of which ``minimum`` have to stay."""

    dimension: Dimension
    units: int
    minimum: int
    members: tuple[GroupMember, ...] = ()
    norms: tuple[str, ...] = ()
    """Norm weights whose mean runs over the units: they grow when it runs over fewer."""
    gates: tuple[Gate, ...] = ()
    """Closing a unit's gates (all of them) has the effect of removing it."""
    fixed: frozenset[int] = frozenset()
    """Units that cannot go."""
    width: int = 1
    """Channels one unit stands for: the head size where heads are removed."""
    shared: bool = False
    """One size for all blocks: the members of every block's group are cut together."""

    def under(self, prefix: str) -> Group:
        """The same group with ``prefix`` before every name."""
        return replace(
            self,
            members=tuple(replace(m, name=prefix + m.name) for m in self.members),
            norms=tuple(prefix + name for name in self.norms),
            gates=tuple(replace(g, module=(prefix + g.module).rstrip(".")) for g in self.gates),
        )
