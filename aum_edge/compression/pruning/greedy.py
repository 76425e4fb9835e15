"""Greedy pruning: the least loss for each saved cost, until a goal is met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from aum_edge.compression.pruning.cost import Cost
from aum_edge.compression.pruning.slicing import Removal
from aum_edge.models.architectures.prunable import Sizes
from aum_edge.ssm.mixers.groups import Key

Price = Callable[[Sizes, Iterable[int]], Cost]
"""Cost of a network of these sizes that keeps these blocks."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """``now`` is to be reached in this round; saving beyond ``finally_`` has no worth."""

    now: Cost
    finally_: Cost


@dataclass(frozen=True, kw_only=True)
class Space:
    """What can be removed, and what each removal costs in loss.

    Args:
        sizes: Units of every group.
        scores: Loss from removing each unit by group; (1,) for a block as a whole. Groups without
            scores stay whole. An infinite score is a unit that cannot go.
        minimum: The fewest units of each group.
        blocks: How many blocks there are.
        least_blocks: How many must stay.
        shared: Dimensions of one size for all blocks.
    """

    sizes: Sizes
    scores: Mapping[Key, Tensor]
    minimum: Mapping[Key, int]
    blocks: int
    least_blocks: int = 1
    shared: frozenset[str] = frozenset({"d_model", "stem", "head_dim"})


class GreedySearch:
    """One round of greedy removal; :attr:`removal` is its outcome.

    Each step removes the unit with the least loss per worth, its worth being the share of what is
    still too much that it saves, MACs and bytes together.
    """

    def __init__(self, space: Space, price: Price) -> None:
        self._space, self._price = space, price
        self._sizes = dict(space.sizes)
        self._order = {key: values.argsort().tolist() for key, values in space.scores.items()}
        self._scores = {key: values.tolist() for key, values in space.scores.items()}
        self._alive = set(range(space.blocks))
        self._taken = dict.fromkeys(space.scores, 0)
        self._savings: dict[Key, Cost] = {}
        self.total = price(self._sizes, self._alive)

    def run(self, goal: Goal) -> bool:
        """Remove until within ``goal.now``; ``False`` when nothing useful is left to remove."""
        while not self.total.within(goal.now):
            best: Key | None = None
            lowest = float("inf")
            for key in self._order:
                if not self._free(key):
                    continue
                worth = self._worth(self._saving(key), goal)
                ratio = self._loss(key) / worth if worth > 0 else float("inf")
                if ratio < lowest:
                    best, lowest = key, ratio
            if best is None:
                return False
            self._take(best)
        return True

    @property
    def removal(self) -> Removal:
        """Everything taken so far."""
        units = {
            key: frozenset(self._order[key][:count])
            for key, count in self._taken.items()
            if count and key[1] != "block" and self._standing(key)
        }
        return Removal(frozenset(range(self._space.blocks)) - self._alive, units)

    def _standing(self, key: Key) -> bool:
        return key[1] in self._space.shared or key[0] in self._alive

    def _free(self, key: Key) -> bool:
        """Whether another unit of the group may go."""
        if not self._standing(key):
            return False
        if key[1] == "block":
            return len(self._alive) > self._space.least_blocks
        return self._sizes[key] > self._space.minimum[key]

    def _loss(self, key: Key) -> float:
        """Of the next unit of a group."""
        unit = 0 if key[1] == "block" else self._order[key][self._taken[key]]
        return float(self._scores[key][unit])

    def _worth(self, saved: Cost, goal: Goal) -> float:
        """Share of the excess that a saving takes away, summed over the limits not yet kept."""
        worth = 0.0
        for name in ("macs", "bytes"):
            total, now, last = (
                getattr(cost, name) for cost in (self.total, goal.now, goal.finally_)
            )
            if total > now:
                worth += min(getattr(saved, name), total - last) / (total - last)
        return worth

    def _saving(self, key: Key) -> Cost:
        """What the next unit of a group saves; remembered until something it depends on goes."""
        if key not in self._savings:
            if key[1] == "block":
                left = self._price(self._sizes, self._alive - {key[0]})
            else:
                left = self._price({**self._sizes, key: self._sizes[key] - 1}, self._alive)
            self._savings[key] = self.total - left
        return self._savings[key]

    def _take(self, key: Key) -> None:
        self._taken[key] += 1
        self.total -= self._saving(key)
        if key[1] == "block":
            self._alive.discard(key[0])
        else:
            self._sizes[key] -= 1
        if key[1] in self._space.shared:
            self._savings.clear()
        stale = [k for k in self._savings if k[0] == key[0] or k[1] in self._space.shared]
        for other in stale:
            del self._savings[other]
