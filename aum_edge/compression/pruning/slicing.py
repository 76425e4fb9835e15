"""Cutting units and blocks out of a backbone: a new, smaller network with the kept weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch_pruning.pruner.function import (
    ParameterPruner,
    prune_batchnorm_out_channels,
    prune_conv_in_channels,
    prune_conv_out_channels,
    prune_depthwise_conv_out_channels,
    prune_linear_in_channels,
    prune_linear_out_channels,
)

from aum_edge.errors import CompressionError
from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import architectures, build
from aum_edge.ssm.mixers.groups import Group, Key


@dataclass(frozen=True)
class Removal:
    """What goes: whole blocks, and units of the groups that stay."""

    blocks: frozenset[int] = frozenset()
    units: Mapping[Key, frozenset[int]] = field(default_factory=dict)


def prunable(network: nn.Module) -> PrunableBackbone:
    """The network itself, known to have prunable blocks.

    Raises:
        CompressionError: it is another kind of network.
    """
    if not isinstance(network, PrunableBackbone):
        known = [
            name
            for name, kind in architectures().items()
            if issubclass(kind.network, PrunableBackbone)
        ]
        raise CompressionError(
            f"Pruning cuts Mamba blocks and finds none in a {type(network).__name__}; "
            f"give a model of the architecture {' or '.join(known)}."
        )
    return network


def fresh(config: BackboneConfig) -> PrunableBackbone:
    """A network of this config; the stream of random numbers stays where it was."""
    with torch.random.fork_rng(devices=[]):
        return prunable(build(config))


def shrink(backbone: PrunableBackbone, removal: Removal) -> PrunableBackbone:
    """A new network without what the removal names; the argument is left alone.

    Its output equals the old network's with the removed channels at zero: where an RMS norm
    averages over fewer channels than before, its weight makes up for it, and its eps by the
    config. Of a LayerNorm this holds while the kept channels of every token sum to zero, since
    zeros do not change its mean then; otherwise it is close, and recovery has to do the rest.

    Raises:
        CompressionError: the removal would leave less than the smallest size.
    """
    groups = backbone.pruning_groups()
    blocks = backbone.mixer_blocks
    kept = [index for index in range(len(blocks)) if index not in removal.blocks]
    if not kept:
        raise CompressionError("Pruning must leave at least one block.")
    sizes = left_by(groups, removal)
    directions = [_remaining_direction(backbone, index, removal) for index in kept]
    small = fresh(backbone.resized(sizes, kept, directions))
    work = copy.deepcopy(backbone)
    taken = {groups[key]: units for key, units in removal.units.items() if units}
    _cut(work, taken)
    if "direction" in backbone.shared_dimensions and (0, "direction") in removal.units:
        work.keep_forward_arithmetic()
    setattr(work, work.blocks_name, nn.ModuleList(work.mixer_blocks[i] for i in kept))
    example = next(backbone.parameters())
    small.to(device=example.device, dtype=example.dtype).train(backbone.training)
    values = work.state_dict()
    small.load_state_dict({name: values[name] for name in small.state_dict()})
    return small


def left_by(groups: Mapping[Key, Group], removal: Removal) -> dict[Key, int]:
    """Units of every group after the removal.

    Raises:
        CompressionError: fewer than the smallest allowed, or a unit that has to stay.
    """
    sizes: dict[Key, int] = {}
    for key, group in groups.items():
        gone = removal.units.get(key, frozenset())
        left = group.units - len(gone)
        place = f"{key[1]} {key[0]}"
        if left < min(group.minimum, group.units):
            raise CompressionError(
                f"Group {place} would keep {left} of {group.units} units; "
                f"the smallest allowed is {group.minimum}."
            )
        if gone & group.fixed or not gone <= set(range(group.units)):
            raise CompressionError(f"Units {sorted(gone)} of group {place} cannot be removed.")
        sizes[key] = left
    return sizes


def _remaining_direction(backbone: PrunableBackbone, index: int, removal: Removal) -> str:
    """Which way a block scans after the removal."""
    directions = [
        "backward" if reverse else "forward" for reverse in backbone.mixers[index].reversals
    ]
    place = 0 if "direction" in backbone.shared_dimensions else index
    gone = removal.units.get((place, "direction"), frozenset())
    left = [direction for unit, direction in enumerate(directions) if unit not in gone]
    return "both" if len(left) == 2 else left[0]


def _cut(network: nn.Module, taken: Mapping[Group, frozenset[int]]) -> None:
    """Remove units of several groups at once; the network's own sizes go stale.

    At once, because the first cut of a tensor would move the indices of the next.
    """
    cuts: dict[tuple[str, str, int], set[int]] = {}
    for group, units in taken.items():
        for member in group.members:
            key = (member.name, member.kind, member.dim)
            cuts.setdefault(key, set()).update(member.indices(units))
        grown = math.sqrt(group.units / (group.units - len(units)))
        for name in group.norms:
            with torch.no_grad():
                network.get_parameter(name).mul_(grown)
    for (name, kind, axis), indices in cuts.items():
        if kind == "parameter":
            _cut_parameter(network, name, axis, sorted(indices))
        else:
            _cut_module(network.get_submodule(name), kind, sorted(indices))


def _cut_module(module: nn.Module, kind: str, indices: list[int]) -> None:
    if isinstance(module, nn.Linear):
        cut = prune_linear_in_channels if kind == "in" else prune_linear_out_channels
    elif isinstance(module, nn.BatchNorm2d):
        cut = prune_batchnorm_out_channels
    elif isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups > 1:
        cut = prune_depthwise_conv_out_channels
    else:
        cut = prune_conv_in_channels if kind == "in" else prune_conv_out_channels
    cut(module, indices)


def _cut_parameter(network: nn.Module, name: str, axis: int, indices: Iterable[int]) -> None:
    """Weights of norms too: Torch-Pruning's own function for LayerNorm may reorder channels."""
    owner, _, own_name = name.rpartition(".")
    holder = network.get_submodule(owner)
    old = holder.get_parameter(own_name)
    setattr(holder, own_name, ParameterPruner(pruning_dim=axis)(old, list(indices)))
