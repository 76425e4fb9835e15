"""Importance of the searched fields: PED-ANOVA over the trained trials, and means by value."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import create_trial

from aum_edge.search.records import Record
from aum_edge.search.space.dimensions import Dimension
from aum_edge.search.study.optuna_adapter import distribution, stored_params
from aum_edge.search.study.storage import quiet_optuna

FEWEST = 10
"""Complete trials below which shares would be noise."""
QUANTILE = 0.25
"""The part of the trials that counts as good."""
BINS = 3
"""Parts of a range for the means by value."""
MOST_VALUES = 6
"""Values of a range in steps that are shown one by one."""


def importances(
    records: Sequence[Record], dimensions: Sequence[Dimension], objective: str
) -> dict[str, float]:
    """Share of each field in reaching the best quarter of an objective, largest first.

    PED-ANOVA, arXiv 2304.10255: how much the values of the best trials differ from those of all.
    For costs, fields of the model alone count: no training changes them. Empty with fewer
    than ten complete trials. A small study gives a hint, no proof.
    """
    if objective != "accuracy":
        dimensions = [dimension for dimension in dimensions if "." not in dimension.name]
    complete = [record for record in records if record.state == "complete"]
    if len(complete) < FEWEST:
        return {}
    quiet_optuna()
    sign = -1.0 if objective == "accuracy" else 1.0
    study = optuna.create_study(direction="minimize")
    known = {dimension.name: distribution(dimension) for dimension in dimensions}
    for record in complete:
        params = stored_params(dimensions, record.params)
        study.add_trial(
            create_trial(
                value=sign * record.objectives[objective],
                params=params,
                distributions={name: known[name] for name in params},
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            evaluator = PedAnovaImportanceEvaluator(target_quantile=QUANTILE)
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):
            return {}
    return {name: float(share) for name, share in found.items()}


def by_value(records: Sequence[Record], dimensions: Sequence[Dimension]) -> list[dict[str, Any]]:
    """Mean and best accuracy of the complete trials for each choice or third of a range."""
    complete = [record for record in records if record.state == "complete"]
    rows = []
    for dimension in dimensions:
        groups: dict[str, list[float]] = {}
        for record in complete:
            if dimension.name in record.params:
                label = _label(dimension, record.params[dimension.name])
                groups.setdefault(label, []).append(record.objectives["accuracy"])
        for label in sorted(groups, key=lambda text: _order(dimension, text)):
            found = groups[label]
            rows.append(
                {
                    "field": dimension.name,
                    "value": label,
                    "trials": len(found),
                    "mean": sum(found) / len(found),
                    "best": max(found),
                }
            )
    return rows


def _label(dimension: Dimension, value: Any) -> str:
    if dimension.choices:
        return value if isinstance(value, str) else json.dumps(value)
    if dimension.whole and (dimension.high - dimension.low) / (dimension.step or 1) < MOST_VALUES:
        return str(value)
    edges = _edges(dimension)
    index = sum(value > edge for edge in edges[1:-1])
    return f"{edges[index]:.3g} to {edges[index + 1]:.3g}"


def _edges(dimension: Dimension) -> list[float]:
    low, high = dimension.low, dimension.high
    steps = [index / BINS for index in range(BINS + 1)]
    if dimension.log:
        return [low * (high / low) ** step for step in steps]
    return [low + (high - low) * step for step in steps]


def _order(dimension: Dimension, text: str) -> float:
    if dimension.choices:
        labels = [_label(dimension, value) for value in dimension.choices]
        return labels.index(text)
    return float(text.split(" ")[0])
