"""Networks of Mamba blocks whose channels, states, directions, blocks and width can be cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from torch import nn

from aum_edge.models.architectures.base import Backbone
from aum_edge.models.fields import BackboneConfig
from aum_edge.ssm.mixers.base import Mixer
from aum_edge.ssm.mixers.groups import Dimension, Gate, Group, GroupMember, Key

MIN_WIDTH = 8
FINAL_NORM = "norm_f"
Sizes = Mapping[Key, int]
"""Units of every group."""


class PrunableBackbone(Backbone, ABC):
    """A network whose blocks are ``x + mixer(norm(x))``, with a last norm ``norm_f``.

    A ``head``, if there is one, is a linear layer or a sequence that begins with a norm.
    """

    blocks_name: ClassVar[str]
    """The attribute that holds the blocks."""

    @property
    def mixer_blocks(self) -> nn.ModuleList:
        """The residual blocks, each with a ``norm`` and a ``mixer``."""
        blocks = self.get_submodule(self.blocks_name)
        assert isinstance(blocks, nn.ModuleList)
        return blocks

    @property
    def mixers(self) -> list[Mixer]:
        """The mixer of each block."""
        found = [block.get_submodule("mixer") for block in self.mixer_blocks]
        return [mixer for mixer in found if isinstance(mixer, Mixer)]

    @property
    def paired(self) -> bool:
        """Whether layers run in pairs, so that no single one can go."""
        return False

    @property
    def shared_dimensions(self) -> frozenset[Dimension]:
        """The dimensions that have one size for the whole network."""
        return frozenset({"d_model", "stem", "head_dim"})

    @abstractmethod
    def width_members(self) -> tuple[GroupMember, ...]:
        """Slices of d_model before the blocks: what writes the first residual stream."""

    @abstractmethod
    def network_groups(self) -> dict[Key, Group]:
        """Groups that are neither the mixers' nor the width."""

    @abstractmethod
    def resized(
        self, sizes: Sizes, blocks: Sequence[int], directions: Sequence[str]
    ) -> BackboneConfig:
        """The config of this network with other sizes, made of some of its blocks.

        Args:
            sizes: Units of every group, by the places of :meth:`pruning_groups`.
            blocks: Which blocks stay; one may stay several times.
            directions: both, forward or backward for each block that stays.
        """

    def keep_forward_arithmetic(self) -> None:
        """Scale weights for what a network without its second direction no longer computes.

        Only of networks whose direction is one group for all blocks.
        """

    def pruning_groups(self) -> dict[Key, Group]:
        """Every group by its place and dimension, whole blocks apart."""
        groups: dict[Key, Group] = {}
        shared: dict[Key, Group] = {}
        for index, mixer in enumerate(self.mixers):
            for group in mixer.pruning_groups():
                named = group.under(f"{self.blocks_name}.{index}.mixer.")
                if not group.shared:
                    groups[index, group.dimension] = named
                    continue
                key: Key = (0, group.dimension)
                shared[key] = joined(shared[key], named) if key in shared else named
        return groups | {(0, "d_model"): self._width_group()} | self.network_groups() | shared

    def _width_group(self) -> Group:
        """Everything that writes to the residual stream, and everything that reads it by a norm."""
        named = dict(self.named_parameters())
        members, readers = list(self.width_members()), [FINAL_NORM]
        for index, mixer in enumerate(self.mixers):
            block = f"{self.blocks_name}.{index}"
            readers.append(f"{block}.norm")
            members += [replace(m, name=f"{block}.mixer.{m.name}") for m in mixer.width_members()]
        norms = list(readers)
        if getattr(self, "head", None) is not None:
            first, columns = _head_parts(self.get_submodule("head"))
            norms += first
            members.append(GroupMember(name=columns, kind="in"))
        parts = [f"{norm}.{part}" for norm in norms for part in ("weight", "bias")]
        members += [GroupMember(name=name, kind="parameter") for name in parts if name in named]
        return Group(
            dimension="d_model",
            units=self.config.d_model,
            minimum=MIN_WIDTH,
            members=tuple(members),
            norms=tuple(f"{norm}.weight" for norm in norms),
            gates=self._reader_gates(readers),
        )

    def _reader_gates(self, readers: list[str]) -> tuple[Gate, ...]:
        """Gates after layer norms, whose bias lets a pruned channel through."""
        gates = [Gate(module=reader, side="in") for reader in readers]
        gates += [
            Gate(module=reader, side="out")
            for reader in readers
            if isinstance(self.get_submodule(reader), nn.LayerNorm)
        ]
        return tuple(gates)


def block_sizes(sizes: Sizes, blocks: Sequence[int]) -> dict[str, Any]:
    """The config fields that every network of Mamba blocks has, from the units of its groups."""
    head = sizes.get((0, "head_dim"), 1)
    changes: dict[str, Any] = {"depth": len(blocks), "d_model": sizes[0, "d_model"]}
    changes["inner"] = tuple(sizes[index, "inner"] * head for index in blocks)
    named: tuple[tuple[str, Dimension], ...] = (("states", "state"), ("dt_ranks", "dt_rank"))
    for name, dimension in named:
        units = [sizes[key] for key in ((index, dimension) for index in blocks) if key in sizes]
        changes[name] = tuple(units) or None
    return changes


def joined(one: Group, other: Group) -> Group:
    """Two blocks' groups of one size as one."""
    return replace(
        one,
        members=one.members + other.members,
        norms=one.norms + other.norms,
        gates=one.gates + other.gates,
    )


def _head_parts(head: nn.Module) -> tuple[list[str], str]:
    """Names of the head's own norm, if any, and of the first layer that mixes channels."""
    if isinstance(head, nn.Linear):
        return [], "head"
    linear = next(n for n, module in head.named_modules() if isinstance(module, nn.Linear))
    norms = [f"head.{n}" for n, m in head.named_modules() if isinstance(m, nn.LayerNorm)]
    return norms, f"head.{linear}"
