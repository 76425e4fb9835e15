"""Samplers whose draw depends on the seed, the trial's number and what is known by then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from aum_edge.search.config import PruningRule, SamplerConfig

STRIDE = 1_000_003


class Seeded(BaseSampler):
    """One of Optuna's samplers, seeded anew before every trial.

    Optuna's keep a random state in the process. Processes that share a study would begin with the
    same draws, and a resumed one would draw again what it drew before. With a seed of its own for
    each trial number neither happens, and a search by one process repeats exactly.
    """

    def __init__(self, config: SamplerConfig, seed: int) -> None:
        self._config = config
        self._seed = seed
        self._inner = self._make(seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is drawn together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw it."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one value by itself."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Begin the trial's own random numbers."""
        self._inner = self._make((self._seed * STRIDE + trial.number) % 2**32)
        self._inner.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the sampler note what it has to."""
        self._inner.after_trial(study, trial, state, values)

    def _make(self, seed: int) -> BaseSampler:
        config = self._config
        if config.kind == "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=config.population, seed=seed)
        if config.kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(n_startup_trials=config.startup, seed=seed)


def make_pruner(kind: str, rule: PruningRule, epochs: int) -> BasePruner:
    """Optuna's pruner of a study with one objective; none for our own rule."""
    if kind == "median":
        return optuna.pruners.PercentilePruner(
            100 * rule.keep,
            n_startup_trials=rule.peers,
            n_warmup_steps=rule.first_epoch - 1,
            interval_steps=rule.every,
            n_min_trials=rule.peers,
        )
    if kind == "halving":
        factor = max(2, round(1 / rule.keep))
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=rule.first_epoch, reduction_factor=factor
        )
    if kind == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=rule.first_epoch, max_resource=epochs)
    return optuna.pruners.NopPruner()
