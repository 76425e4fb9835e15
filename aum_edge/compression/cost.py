"""What a model of given block sizes costs, exactly, without building each one."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aum_edge.complexity.counter import count
from aum_edge.compression.config import Dimension
from aum_edge.compression.groups import Group
from aum_edge.compression.slicing import Backbone, mamba_of, mixer_groups, resized
from aum_edge.models.build import build
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.fold import fold_batch_norm

FLOAT_BYTES = 4
Sizes = dict[Dimension, int]
"""Units of each dimension of one block."""


@dataclass(frozen=True)
class Cost:
    """MACs of one clip, and bytes with int8 weights."""

    macs: float
    bytes: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.bytes + other.bytes)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.macs - other.macs, self.bytes - other.bytes)

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.macs * factor, self.bytes * factor)

    def within(self, limit: Cost) -> bool:
        """Neither figure is above the limit's."""
        return self.macs <= limit.macs and self.bytes <= limit.bytes


def int8_bytes(network: nn.Module) -> int:
    """Bytes of all parameters after quantization: every convolution and linear weight one byte.

    Each output channel adds its float32 scale; biases, norms, decay rates and tokens stay
    float32. Batch norms are to be folded first.
    """
    total = sum(p.numel() for p in network.parameters()) * FLOAT_BYTES
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            weight = module.weight
            total += weight.shape[0] * FLOAT_BYTES - weight.numel() * (FLOAT_BYTES - 1)
    return total


def model_cost(model: AudioClassifier) -> Cost:
    """The exact cost of a float model, its batch norms folded."""
    folded = fold_batch_norm(copy.deepcopy(model))
    return Cost(_macs(folded, folded.example_input()), int8_bytes(folded.backbone))


def _macs(network: nn.Module, example: Tensor) -> float:
    """Counted on the meta device: shapes decide, nothing is computed."""
    return count(copy.deepcopy(network).to("meta").eval(), example.to("meta")).macs


class BlockCosts:
    """The cost of one block as a function of its sizes.

    MACs and bytes are multilinear in (inner, state, dt_rank), so the cost at the corners of the
    box of all sizes gives it everywhere inside, exactly, by interpolation. A corner is counted as
    the difference between networks of two depths. Cost: 2 counts a corner, 16 in all.
    """

    def __init__(self, model: AudioClassifier) -> None:
        backbone = mamba_of(model.backbone)
        groups = mixer_groups(backbone)
        self._first = groups[0]
        self._low: Sizes = {}
        self._high: Sizes = {}
        for dimension in self._first:
            units = [block[dimension].units for block in groups]
            self._low[dimension] = min(self._first[dimension].minimum, *units)
            self._high[dimension] = max(*units, self._low[dimension] + 1)
        corners = itertools.product(*((self._low[d], self._high[d]) for d in self._first))
        example = model.example_input()
        self._corners = {corner: self._probe(backbone, corner, example) for corner in corners}

    def __call__(self, sizes: Sizes) -> Cost:
        """Cost of one block with ``sizes`` units."""
        total = Cost(0, 0)
        for corner, cost in self._corners.items():
            weight = 1.0
            for dimension, value in zip(self._first, corner, strict=True):
                low, high = self._low[dimension], self._high[dimension]
                share = (sizes[dimension] - low) / (high - low)
                weight *= share if value == high else 1 - share
            total += cost * weight
        return total

    def _probe(self, backbone: Backbone, corner: tuple[int, ...], example: Tensor) -> Cost:
        channels: Sizes = {
            dimension: units * group.width
            for (dimension, group), units in zip(self._first.items(), corner, strict=True)
        }
        config = backbone.config
        step = 2 if isinstance(config, AudioMambaConfig) and config.layer_pairs else 1
        costs = []
        for depth in (step, 2 * step):
            network = build(resized(config, [channels] * depth))
            costs.append(Cost(_macs(network, example), int8_bytes(network)))
        return (costs[1] - costs[0]) * (1 / step)


def sizes_of(groups: list[dict[Dimension, Group]]) -> list[Sizes]:
    """Units of every block."""
    return [{dimension: group.units for dimension, group in block.items()} for block in groups]


def unlimited(value: float | None) -> float:
    """A limit as a number."""
    return float(torch.inf) if value is None else value
