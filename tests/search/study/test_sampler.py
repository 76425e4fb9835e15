"""Draws depend on seed, number and what is known, not on the process."""

from __future__ import annotations

import optuna
import pytest

from aum_edge.search.config import PruningRule, SamplerConfig
from aum_edge.search.study.sampler import Seeded, make_pruner


def draws(study: optuna.Study, count: int) -> list[tuple[int, float]]:
    found = []
    for _ in range(count):
        trial = study.ask()
        x, y = trial.suggest_int("x", 0, 1000), trial.suggest_float("y", 0, 1)
        study.tell(trial, [x / 1000, y])
        found.append((x, y))
    return found


def study(kind: str, seed: int = 0, storage: optuna.storages.BaseStorage | None = None):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    config = SamplerConfig(kind=kind, startup=3, population=3)
    return optuna.create_study(
        study_name="s",
        storage=storage,
        directions=["maximize", "minimize"],
        sampler=Seeded(config, seed),
        load_if_exists=True,
    )


@pytest.mark.parametrize("kind", ["tpe", "nsga2", "random"])
def test_a_resumed_search_draws_what_an_uninterrupted_one_does(kind) -> None:
    whole = draws(study(kind), 9)
    shared = optuna.storages.InMemoryStorage()
    parts = [*draws(study(kind, 0, shared), 5), *draws(study(kind, 0, shared), 4)]
    assert parts == whole
    assert len(set(whole)) > 6
    assert draws(study(kind, seed=1), 9) != whole


@pytest.mark.parametrize("kind", ["median", "halving", "hyperband", "none"])
def test_optunas_pruners_end_what_is_far_behind_in_single_objective_searches(kind) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rule = PruningRule(first_epoch=1, peers=2)
    made = optuna.create_study(direction="maximize", pruner=make_pruner(kind, rule, 9))
    ended = 0
    for place in range(12):
        trial = made.ask()
        level = 0.9 if place < 6 else 0.1
        pruned = False
        for epoch in range(1, 10):
            trial.report(level, epoch)
            pruned = pruned or trial.should_prune()
        ended += pruned and level < 0.5
        made.tell(trial, level)
    assert (ended > 0) == (kind != "none")
