"""Cutting units and blocks out of a backbone: a new, smaller network with the kept weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torch_pruning.pruner.function import (
    ParameterPruner,
    prune_depthwise_conv_out_channels,
    prune_linear_in_channels,
    prune_linear_out_channels,
)

from aum_edge.compression.config import Dimension
from aum_edge.compression.groups import Group, groups_of
from aum_edge.errors import CompressionError
from aum_edge.models.audio_mamba import AudioMamba
from aum_edge.models.build import build
from aum_edge.models.config import AudioMambaConfig, MambaStudentConfig
from aum_edge.models.mamba_student import MambaStudent

Backbone = AudioMamba | MambaStudent
Config = AudioMambaConfig | MambaStudentConfig
MODULE_CUTS = {
    "out": prune_linear_out_channels,
    "in": prune_linear_in_channels,
    "depthwise": prune_depthwise_conv_out_channels,
}


@dataclass(frozen=True)
class Removal:
    """What goes: whole blocks, and units of the blocks that stay, by (block, dimension)."""

    blocks: frozenset[int] = frozenset()
    units: Mapping[tuple[int, Dimension], frozenset[int]] = field(default_factory=dict)


def mamba_of(network: nn.Module) -> Backbone:
    """The network itself, known to have prunable Mamba blocks.

    Raises:
        CompressionError: it is another kind of network.
    """
    if not isinstance(network, AudioMamba | MambaStudent):
        raise CompressionError(
            f"Pruning cuts Mamba blocks and finds none in a {type(network).__name__}; "
            "give an audio_mamba or mamba_student model."
        )
    return network


def blocks_of(backbone: Backbone) -> nn.ModuleList:
    """The residual blocks, each with a ``mixer``."""
    return backbone.layers if isinstance(backbone, AudioMamba) else backbone.blocks


def mixer_groups(backbone: Backbone) -> list[dict[Dimension, Group]]:
    """The groups of every block's mixer."""
    return [groups_of(block.get_submodule("mixer")) for block in blocks_of(backbone)]


def shrink(backbone: Backbone, removal: Removal) -> Backbone:
    """A new network without what the removal names; the argument is left alone.

    Its output equals the old network's with the removed channels at zero: where a norm averages
    over fewer channels than before, its weight makes up for it (and its eps, see StudentBlock).

    Raises:
        CompressionError: the removal would leave a block below its smallest size.
    """
    work = copy.deepcopy(backbone)
    groups = mixer_groups(work)
    kept = [i for i in range(len(groups)) if i not in removal.blocks]
    if not kept:
        raise CompressionError("Pruning must leave at least one block.")
    sizes = [_sizes(groups[i], i, removal) for i in kept]
    for index, block in enumerate(blocks_of(work)):
        taken = {
            groups[index][dimension]: units
            for (place, dimension), units in removal.units.items()
            if place == index and units
        }
        _cut(block.get_submodule("mixer"), taken)
    blocks = nn.ModuleList(blocks_of(work)[i] for i in kept)
    setattr(work, "layers" if isinstance(work, AudioMamba) else "blocks", blocks)
    small = mamba_of(build(resized(backbone.config, sizes)))
    example = next(backbone.parameters())
    small.to(device=example.device, dtype=example.dtype).train(backbone.training)
    small.load_state_dict(work.state_dict())
    return small


def resized(config: Config, sizes: list[dict[Dimension, int]]) -> Config:
    """The config of a network with one block of each given size (channels, states, rank)."""
    ranks = tuple(size["dt_rank"] for size in sizes if "dt_rank" in size)
    return replace(
        config,
        depth=len(sizes),
        inner=tuple(size["inner"] for size in sizes),
        states=tuple(size["state"] for size in sizes),
        dt_ranks=ranks or None,
    )


def _sizes(groups: dict[Dimension, Group], index: int, removal: Removal) -> dict[Dimension, int]:
    sizes: dict[Dimension, int] = {}
    for dimension, group in groups.items():
        left = group.units - len(removal.units.get((index, dimension), ()))
        if left < min(group.minimum, group.units):
            raise CompressionError(
                f"Block {index} would keep {left} of {group.units} units of {dimension}; "
                f"the smallest allowed is {group.minimum}."
            )
        sizes[dimension] = left * group.width
    return sizes


def _cut(mixer: nn.Module, taken: Mapping[Group, frozenset[int]]) -> None:
    """Remove units of several groups at once; the mixer's own sizes go stale.

    At once, because the first cut of a tensor would move the indices of the next.
    """
    cuts: dict[tuple[str, str, int], set[int]] = {}
    for group, units in taken.items():
        for member in group.members:
            key = (member.name, member.kind, member.dim)
            cuts.setdefault(key, set()).update(member.indices(units))
            if member.name == "norm.weight":
                weight = mixer.get_parameter(member.name)
                with torch.no_grad():
                    weight.mul_(math.sqrt(group.units / (group.units - len(units))))
    for (name, kind, axis), indices in cuts.items():
        _cut_tensor(mixer, name, kind, axis, sorted(indices))


def _cut_tensor(mixer: nn.Module, name: str, kind: str, axis: int, indices: list[int]) -> None:
    if kind != "parameter":
        MODULE_CUTS[kind](mixer.get_submodule(name), indices)
        return
    owner, _, own_name = name.rpartition(".")
    holder = mixer.get_submodule(owner)
    old = holder.get_parameter(own_name)
    setattr(holder, own_name, ParameterPruner(pruning_dim=axis)(old, indices))
