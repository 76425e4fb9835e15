"""Feasibility of a search space: whether a model meets the limits, and the least cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aum_edge.errors import BudgetError
from aum_edge.search.space.candidate import Cost
from aum_edge.search.space.dimensions import Dimension, Params

Measure = Callable[[Params], Cost | None]
"""The cost of a point; None where its values do not fit each other."""
Score = Callable[[Cost], float]
STARTS = 24
"""Random points that a descent may start from, beside the smallest corner."""


@dataclass(frozen=True)
class Found:
    """A point, its cost and how it scored."""

    params: Params
    cost: Cost
    score: float


def require_feasible(dimensions: Sequence[Dimension], measure: Measure, seed: int) -> None:
    """Refuse a space of which no model meets the limits, before anything is trained.

    The search is a descent along one field at a time from the best of some points; costs grow with
    sizes, so it ends at the smallest in practice. Cost: a count for each point looked at, one when
    the smallest corner fits, and about a hundred when nothing does.

    Raises:
        BudgetError: With the smallest MACs and bytes that were found.
    """
    model = [d for d in dimensions if "." not in d.name]
    best = _descend(model, measure, lambda cost: sum(cost.over.values()), seed)
    if best is None:
        raise BudgetError(
            "No point of `space` gives a model: its values do not fit each other or the front "
            "end (heads divide the inner channels, kernels of two directions are odd, groups "
            "divide the rows). Give other values."
        )
    if best.cost.unknown:
        raise BudgetError(
            f"Whether models meet the limits cannot be known: {', '.join(best.cost.unknown)} is "
            "limited and its count does not give it. Give other `limits`, or switch that count off "
            "under `constraints`."
        )
    if best.score == 0:
        return
    least = [
        _descend(model, measure, score, seed)
        for score in (lambda cost: float(cost.macs), lambda cost: float(cost.bytes))
    ]
    macs, size = (found.cost if found else best.cost for found in least)
    values = ", ".join(f"{name}: {value}" for name, value in best.params.items())
    raise BudgetError(
        f"No model of `space` meets the limits. The nearest ({values}) is {best.cost.why_not}, "
        f"with {best.cost.macs:,} MACs and {best.cost.bytes:,} bytes in int8. The smallest "
        f"reachable: {macs.macs:,} MACs, {size.bytes:,} bytes. Add smaller values or give other "
        "`limits`."
    )


def _descend(
    dimensions: Sequence[Dimension], measure: Measure, score: Score, seed: int
) -> Found | None:
    """The best point of a coordinate descent; ends early at a score of 0."""
    best = _start(dimensions, measure, score, seed)
    while best is not None and best.score > 0:
        before = best.score
        for dimension in dimensions:
            for value in dimension.ends():
                if dimension.applies(best.params) and best.params.get(dimension.name) != value:
                    point = _completed(dimensions, {**best.params, dimension.name: value})
                    best = _better(best, _evaluated(point, measure, score))
        if best.score >= before:
            break
    return best


def _start(
    dimensions: Sequence[Dimension], measure: Measure, score: Score, seed: int
) -> Found | None:
    rng = np.random.default_rng(seed)
    best: Found | None = None
    for index in range(STARTS + 1):
        point: Params = {}
        for dimension in dimensions:
            ends = dimension.ends()
            if dimension.applies(point):
                point[dimension.name] = ends[0 if index == 0 else int(rng.integers(len(ends)))]
        found = _evaluated(point, measure, score)
        best = found if best is None else _better(best, found)
        if best is not None and (best.score == 0 or index == 0):
            break
    return best


def _completed(dimensions: Sequence[Dimension], params: Params) -> Params:
    """The point without fields that no longer apply and with those that now do."""
    made: Params = {}
    for dimension in dimensions:
        if dimension.applies(made):
            made[dimension.name] = params.get(dimension.name, dimension.ends()[0])
    return made


def _evaluated(params: Params, measure: Measure, score: Score) -> Found | None:
    cost = measure(params)
    return None if cost is None else Found(params, cost, score(cost))


def _better(best: Found, found: Found | None) -> Found:
    return found if found is not None and found.score < best.score else best
