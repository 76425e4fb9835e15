"""Magnitude importance: the energy of each path through a block, by its weights alone.

The input is taken as white noise of variance 1 in every channel. A state that decays as
exp(-k Δ|A|) after one step's push of Δ B then holds Δ² / (1 - exp(-2 Δ|A|)) times B's energy:
slow states hold more. Beside the states runs the skip, D². The step Δ is that of the bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.ssm.mixers.base import Mixer, PathEnergies
from aum_edge.ssm.mixers.groups import Group, Key


@dataclass(frozen=True)
class Shares:
    """Energies of one mixer's paths as shares of their sum; ``weight`` is the whole block's.

    ``weight``: what the block writes to the residual stream, by the mean of all blocks.
    ``paths`` is None for a mixer without path energies: its units are ranked by weights alone.
    """

    paths: PathEnergies | None
    weight: float = 1.0

    @property
    def channels(self) -> Tensor:
        """Of each inner channel, (E,)."""
        assert self.paths is not None
        return self.paths.skip.sum(dim=0) + self.paths.states.sum(dim=(0, 2))

    @property
    def directions(self) -> Tensor:
        """Of the two directions, (2,)."""
        if self.paths is None:
            return torch.full((2,), 0.5)
        skip, by_scan = self.paths.skip, self.paths.states.sum(dim=(1, 2))
        own = skip.sum(dim=1) if len(skip) == 2 else skip.new_zeros(2)
        return own + (by_scan if len(by_scan) == 2 else by_scan.expand(2) / 2)


@torch.no_grad()
def magnitude_scores(backbone: PrunableBackbone, groups: Mapping[Key, Group]) -> dict[Key, Tensor]:
    """Shares (units,) of every group: 1 is all that a block, or the whole network, carries."""
    mixers = backbone.mixers
    written = torch.stack([mixer.output_weight().square().sum() for mixer in mixers])
    weights = (written / written.mean()).tolist()
    blocks = [_shares(mixer, weight) for mixer, weight in zip(mixers, weights, strict=True)]
    return {key: _score(backbone, key, group, blocks) for key, group in groups.items()}


def _shares(mixer: Mixer, weight: float) -> Shares:
    energies = mixer.path_energies()
    if energies is None:
        return Shares(None, weight)
    total = (energies.skip.sum() + energies.states.sum()).clamp_min(1e-30)
    return Shares(PathEnergies(energies.skip / total, energies.states / total), weight)


def _score(backbone: PrunableBackbone, key: Key, group: Group, blocks: list[Shares]) -> Tensor:
    index, dimension = key
    if dimension in ("d_model", "stem"):
        return _tensor_shares(backbone, group) * len(blocks)
    known = all(block.paths is not None for block in blocks)
    if dimension == "head_dim":
        if not known:
            return _tensor_shares(backbone, group) * len(blocks)
        rows = [b.weight * b.channels.reshape(-1, group.units).sum(dim=0) for b in blocks]
        return torch.stack(rows).sum(dim=0)
    if dimension == "direction" and group.fixed:
        return torch.stack([block.weight * block.directions for block in blocks]).sum(dim=0)
    return blocks[index].weight * _in_block(backbone, group, blocks[index])


def _in_block(backbone: PrunableBackbone, group: Group, block: Shares) -> Tensor:
    """Shares of one block's units."""
    if group.dimension == "block":
        return torch.ones(1)
    if group.dimension == "direction":
        return block.directions
    if block.paths is None:
        return _tensor_shares(backbone, group)
    if group.dimension == "inner":
        return block.channels.reshape(group.units, group.width).sum(dim=1)
    if group.dimension == "state":
        return block.paths.states.sum(dim=(0, 1))
    return _tensor_shares(backbone, group) * block.paths.states.sum()


def _tensor_shares(backbone: PrunableBackbone, group: Group) -> Tensor:
    """Each unit's share of the squared weights, the mean over the group's matrices and kernels."""
    shares = []
    for member in group.members:
        for name, axis in member.tensors(backbone):
            table = backbone.get_parameter(name)
            if table.ndim < 2:
                continue
            rows = table.square().movedim(axis, 0).reshape(table.shape[axis], -1).sum(dim=1)
            units = [rows[member.indices([unit])].sum() for unit in range(group.units)]
            part = torch.stack(units)
            shares.append(part / part.sum().clamp_min(1e-30))
    return torch.stack(shares).mean(dim=0)
