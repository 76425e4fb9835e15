"""Conversion of dimensions and records to Optuna's distributions and trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from aum_edge.search.config import MAXIMISED, Objective, SearchRecipe
from aum_edge.search.records import Record
from aum_edge.search.space.dimensions import Dimension, Params

STATES = {"pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
NEVER = {"accuracy": 0.0, "macs": 1e12, "bytes": 1e12, "latency": 1e6}
"""Objectives of a trial that was not trained; samplers go by its constraints."""


def directions(objectives: Sequence[Objective]) -> list[StudyDirection]:
    """Maximise or minimise, for each objective."""
    up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    return [up if name in MAXIMISED else down for name in objectives]


def distribution(dimension: Dimension) -> BaseDistribution:
    """Optuna's distribution of a dimension."""
    if dimension.choices:
        return CategoricalDistribution(dimension.stored())
    if dimension.whole:
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step or 1)
        return IntDistribution(low, high, log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def stored_params(dimensions: Sequence[Dimension], params: Params) -> Params:
    """A trial's values as Optuna keeps them."""
    found: Params = {}
    for dimension in dimensions:
        if dimension.name in params:
            value = params[dimension.name]
            choices = dimension.choices
            found[dimension.name] = dimension.stored()[choices.index(value)] if choices else value
    return found


def constraints_of(record: Record) -> dict[str, float]:
    """How far a record's model is over each limit; zero or less is inside."""
    over = {str(name): float(value) for name, value in record.cost.get("over", {}).items()}
    if record.state == "rejected" and not over:
        over = {"no_model": 1.0}
    return over or {"limits": 0.0}


def finished_trial(recipe: SearchRecipe, record: Record) -> FrozenTrial:
    """A record as the trial that a study would hold of it."""
    dimensions = recipe.dimensions
    known = {dimension.name: distribution(dimension) for dimension in dimensions}
    params = stored_params(dimensions, record.params)
    state = STATES.get(record.state, TrialState.COMPLETE)
    single = len(recipe.objectives) == 1
    attributes: dict[str, Any] = {"kind": record.state, "record": record.to_dict()}
    if record.curve:
        attributes |= {"curve": record.curve, "costs": costs_known(recipe, record.objectives)}
    return create_trial(
        state=state,
        values=values_of(recipe, record) if state == TrialState.COMPLETE else None,
        params=params,
        distributions={name: known[name] for name in params},
        user_attrs=attributes,
        intermediate_values=dict(enumerate(record.curve, 1)) if single else {},
        constraints=constraints_of(record),
    )


def values_of(recipe: SearchRecipe, record: Record) -> list[float]:
    """The objectives in their order; what a trial without training has not is the worst."""
    return [record.objectives.get(name, NEVER[name]) for name in recipe.objectives]


def costs_known(recipe: SearchRecipe, objectives: dict[str, float]) -> list[float]:
    """Every objective but accuracy, in order, by which peers are found."""
    names = [name for name in recipe.objectives if name not in MAXIMISED]
    return [float(objectives[name]) for name in names if name in objectives]
