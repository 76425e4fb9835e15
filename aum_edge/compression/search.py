"""Which units to remove: the least importance for each saved cost, until a goal is met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from aum_edge.compression.config import Dimension
from aum_edge.compression.cost import Cost, Sizes
from aum_edge.compression.slicing import Removal

Price = Callable[[Sizes], Cost]


@dataclass(frozen=True, kw_only=True)
class Goal:
    """``now`` is to be reached in this round; saving beyond ``finally_`` has no worth."""

    now: Cost
    finally_: Cost


@dataclass(frozen=True)
class Candidate:
    """The cheapest loss in one dimension of one block."""

    block: int
    dimension: Dimension
    importance: float
    saved: Cost


class Search:
    """One round of greedy removal; :attr:`removal` is its outcome.

    Importances of channels, states and blocks are not comparable: a block sums thousands of
    weights, a rank a few dozen. So each candidate's importance per saved cost is divided by the
    mean of its dimension at the start of the round, and the least of these ratios goes first.

    Args:
        sizes: units of every block.
        scores: importance of each unit by (block, dimension); (1,) for a block as a whole.
        minimum: the fewest units of each dimension; of ``block``, the fewest blocks.
        price: cost of a block of given sizes.
        total: cost of the whole model now.
    """

    def __init__(
        self,
        sizes: list[Sizes],
        scores: dict[tuple[int, Dimension], Tensor],
        minimum: Sizes,
        price: Price,
        total: Cost,
    ) -> None:
        self._sizes = [dict(block) for block in sizes]
        self._order = {key: values.argsort().tolist() for key, values in scores.items()}
        self._scores = {key: values.tolist() for key, values in scores.items()}
        self._minimum, self._price, self.total = minimum, price, total
        self._alive = set(range(len(sizes)))
        self._taken = dict.fromkeys(scores, 0)

    def run(self, goal: Goal) -> bool:
        """Remove until within ``goal.now``; ``False`` when nothing useful is left to remove."""
        level = self._levels(goal)
        while not self.total.within(goal.now):
            best: Candidate | None = None
            lowest = float("inf")
            for candidate in self._candidates():
                worth = self._worth(candidate.saved, goal)
                if worth > 0:
                    ratio = candidate.importance / worth / level.get(candidate.dimension, 1.0)
                    if ratio < lowest:
                        best, lowest = candidate, ratio
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
            if count and key[1] != "block" and key[0] in self._alive
        }
        return Removal(frozenset(range(len(self._sizes))) - self._alive, units)

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

    def _candidates(self) -> list[Candidate]:
        found = []
        for (block, dimension), order in self._order.items():
            if block not in self._alive:
                continue
            if dimension == "block":
                if len(self._alive) > self._minimum["block"]:
                    saved = self._price(self._sizes[block])
                    found.append(
                        Candidate(block, dimension, self._scores[block, "block"][0], saved)
                    )
            elif self._sizes[block][dimension] > self._minimum[dimension]:
                unit = order[self._taken[block, dimension]]
                importance = self._scores[block, dimension][unit]
                saved = self._saving(block, dimension)
                found.append(Candidate(block, dimension, importance, saved))
        return found

    def _saving(self, block: int, dimension: Dimension) -> Cost:
        sizes = self._sizes[block]
        return self._price(sizes) - self._price({**sizes, dimension: sizes[dimension] - 1})

    def _levels(self, goal: Goal) -> dict[Dimension, float]:
        """Mean importance per worth of all units of a dimension."""
        ratios: dict[Dimension, list[float]] = {}
        for (block, dimension), values in self._scores.items():
            whole = dimension == "block"
            saved = self._price(self._sizes[block]) if whole else self._saving(block, dimension)
            worth = self._worth(saved, goal)
            if worth > 0:
                ratios.setdefault(dimension, []).extend(value / worth for value in values)
        return {d: sum(rows) / len(rows) or 1.0 for d, rows in ratios.items()}

    def _take(self, candidate: Candidate) -> None:
        key = (candidate.block, candidate.dimension)
        self._taken[key] += 1
        self.total -= candidate.saved
        if candidate.dimension == "block":
            self._alive.discard(candidate.block)
        else:
            self._sizes[candidate.block][candidate.dimension] -= 1
