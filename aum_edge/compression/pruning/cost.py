"""Exact cost of a pruned network as a function of its sizes, without building each one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from aum_edge.complexity.torch_counter import OperatorCounts, count
from aum_edge.compression.pruning.slicing import fresh, prunable
from aum_edge.models.architectures.prunable import Sizes
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.ssm.mixers.groups import Dimension, Group, Key

FLOAT_BYTES = 4
SMALL = 4_000_000
"""Parameters below which a model is counted by running it."""
BLOCK: tuple[Dimension, ...] = ("d_model", "inner", "head_dim", "state", "dt_rank", "direction")
"""What the cost of a block depends on."""
REST: tuple[Key, ...] = ((0, "d_model"), (0, "stem"), (1, "stem"))
"""What the cost of all but the blocks depends on."""


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
    folded = fold_batch_norm(copy.deepcopy(model)).cpu()
    return Cost(_count(folded).macs, int8_bytes(folded.backbone))


def _count(model: AudioClassifier) -> OperatorCounts:
    """Shapes decide: large models are counted on the meta device, where nothing is computed.

    Small ones run faster for real.
    """
    example = model.example_input().to(next(model.parameters()).dtype)
    if sum(p.numel() for p in model.parameters()) < SMALL:
        return count(model, example)
    return count(copy.deepcopy(model).to("meta"), example.to("meta"))


class Multilinear:
    """A cost that is of first degree in each of its variables, known from its corners.

    Interpolation between the corners of the box of all sizes is then exact. Cost: one probe for
    every corner, 2 to the number of variables that vary.
    """

    def __init__(
        self, ranges: list[tuple[int, int]], probe: Callable[[tuple[int, ...]], Cost]
    ) -> None:
        self._ranges = ranges
        self._known: dict[tuple[int, ...], Cost] = {}
        shape = tuple(2 if low < high else 1 for low, high in ranges)
        self._corners = np.zeros((*shape, 2))
        for corner in itertools.product(*(range(size) for size in shape)):
            cost = probe(tuple(pair[at] for pair, at in zip(ranges, corner, strict=True)))
            self._corners[corner] = cost.macs, cost.bytes

    def __call__(self, values: tuple[int, ...]) -> Cost:
        """The cost at these values, a whole number of each."""
        if values not in self._known:
            table = self._corners
            for value, (low, high) in zip(values, self._ranges, strict=True):
                if low == high:
                    table = table[0]
                else:
                    share = (value - low) / (high - low)
                    table = table[0] * (1 - share) + table[1] * share
            self._known[values] = Cost(round(float(table[0])), round(float(table[1])))
        return self._known[values]


class NetworkCosts:
    """The cost of any smaller form of a network as a function of its sizes, exactly.

    Cost: one count of a network of one block for every corner, 40 at most.
    """

    def __init__(self, model: AudioClassifier) -> None:
        self._model = model
        self._backbone = prunable(model.backbone)
        self._groups = self._backbone.pruning_groups()
        self._shared = self._backbone.shared_dimensions
        self._block = Multilinear([self._range(d) for d in BLOCK], self._probe_block)
        ranges = [_span([self._groups[key]]) if key in self._groups else (0, 0) for key in REST]
        self._rest = Multilinear(ranges, self._probe_rest)

    def __call__(self, sizes: Sizes, blocks: Iterable[int]) -> Cost:
        """Cost of a network with these sizes that has kept these blocks."""
        total = self._rest(tuple(sizes.get(key, 0) for key in REST))
        for index in blocks:
            total += self._block(self._values(sizes, index))
        return total

    def _values(self, sizes: Sizes, index: int) -> tuple[int, ...]:
        """Sizes of one block by the variables; without a group there is one direction."""
        values = []
        for dimension in BLOCK:
            place = 0 if dimension in self._shared else index
            values.append(sizes.get((place, dimension), 1 if dimension == "direction" else 0))
        return tuple(values)

    def _range(self, dimension: Dimension) -> tuple[int, int]:
        found = [group for key, group in self._groups.items() if key[1] == dimension]
        if not found:
            return (1, 1) if dimension == "direction" else (0, 0)
        return _span(found)

    def _probe_block(self, values: tuple[int, ...]) -> Cost:
        rest = {key: _span([self._groups[key]])[0] for key in REST if key in self._groups}
        return self._probe(values, rest)[0]

    def _probe_rest(self, values: tuple[int, ...]) -> Cost:
        sizes = {key: value for key, value in zip(REST, values, strict=True) if value}
        block = tuple(values[0] if d == "d_model" else self._range(d)[0] for d in BLOCK)
        return self._probe(block, sizes)[1]

    def _probe(self, block: tuple[int, ...], rest: Sizes) -> tuple[Cost, Cost]:
        """Count a network of equal blocks: what one of them costs, and all but the blocks."""
        values = dict(zip(BLOCK, block, strict=True))
        directions = "both" if values.pop("direction") == 2 else "forward"
        units = dict(rest)
        for dimension, value in values.items():
            if value:
                units[0, dimension] = value
        depth = 2 if self._backbone.paired else 1
        config = self._backbone.resized(units, [0] * depth, [directions] * depth).deployed()
        small = fresh(config)
        model = self._model.with_backbone(small, {})
        total, name = _count(model), f"backbone.{self._backbone.blocks_name}."
        inside = sum(macs.total() for layer, macs in total.layers.items() if layer.startswith(name))
        inner_bytes = sum(int8_bytes(b) for b in small.mixer_blocks)
        own = Cost(inside, inner_bytes)
        return own * (1 / depth), Cost(total.macs, int8_bytes(model.backbone)) - own


def _span(groups: list[Group]) -> tuple[int, int]:
    """Fewest and most units of a dimension."""
    most = max(group.units for group in groups)
    return min(min(group.minimum, group.units) for group in groups), most


def sizes_of(groups: Mapping[Key, Group]) -> dict[Key, int]:
    """Units of every group."""
    return {key: group.units for key, group in groups.items()}


def unlimited(value: float | None) -> float:
    """A limit as a number."""
    return float(torch.inf) if value is None else value
