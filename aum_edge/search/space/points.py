"""Counting the points of a search space, so that one that is used up ends the search.

Optuna's brute-force sampler stops a study alone that it draws for itself under ``optimize``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from aum_edge.search.space.dimensions import Dimension, Params

MOST = 10_000
"""Points above which a space counts as endless."""


def key_of(params: Params) -> str:
    """The same text for the same point, whatever the rounding of its steps."""
    return json.dumps({name: _rounded(value) for name, value in params.items()}, sort_keys=True)


def all_points(dimensions: Sequence[Dimension]) -> frozenset[str] | None:
    """Every point of a space, as ``key_of`` names it; None where there are too many to count.

    ``dimensions`` come in the order of ``read_space``, parents first.
    """
    points: list[Params] = [{}]
    for dimension in dimensions:
        count = dimension.count()
        if count is None or count > MOST:
            return None
        values = dimension.values()
        grown: list[Params] = []
        for point in points:
            if dimension.applies(point):
                grown += [{**point, dimension.name: value} for value in values]
            else:
                grown.append(point)
            if len(grown) > MOST:
                return None
        points = grown
    return frozenset(map(key_of, points))


def used_up(points: frozenset[str] | None, tried: Iterable[Params]) -> bool:
    """Whether every point has been tried."""
    return points is not None and points <= {key_of(params) for params in tried}


def _rounded(value: Any) -> Any:
    return float(f"{value:.10g}") if isinstance(value, float) else value
