"""Means, spreads and paired differences over the finished runs of a comparison."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from aum_edge.comparison.config import CompareRecipe, Lesson
from aum_edge.comparison.runs import SUMMARY
from aum_edge.core.files import read_json

log = logging.getLogger(__name__)
METRIC = "macro_accuracy"
T_95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13)
"""Student's t of 95 % two-sided for 1 to 15 degrees of freedom; 2.0 beyond serves."""


@dataclass(frozen=True)
class Spread:
    """Values of one figure over runs: their mean, deviation and range."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Standard deviation over runs (n - 1); 0 of a single run."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    @property
    def margin(self) -> float:
        """Half of the 95 % confidence interval of the mean, by Student's t; inf of one run."""
        n = len(self.values)
        if n < 2:
            return math.inf
        t = T_95[n - 2] if n - 2 < len(T_95) else 2.0
        return t * self.deviation / math.sqrt(n)


@dataclass(frozen=True)
class PairedDifference:
    """What one model has over another, run by run: the same fold, seed and teacher."""

    title: str
    spread: Spread
    by_fold: dict[str, float]
    """Mean difference of each fold."""

    @property
    def wins(self) -> int:
        """Runs in which the first model is ahead."""
        return sum(value > 0 for value in self.spread.values)

    @property
    def beyond_spread(self) -> bool:
        """Whether the 95 % interval of the mean leaves zero out."""
        return abs(self.spread.mean) > self.spread.margin


def finished(recipe: CompareRecipe, out: Path) -> list[dict[str, Any]]:
    """The summaries of the runs that are done, by fold and seed.

    Those that were made with other settings are left out, and the log says so.
    """
    runs = []
    for fold in recipe.folds:
        for seed in recipe.seeds:
            path = out / fold / f"seed-{seed}" / SUMMARY
            if not path.exists():
                continue
            found = dict(read_json(path))
            if found.get("key") == recipe.key(fold):
                runs.append(found)
            else:
                log.warning("%s was made with other settings and is left out.", path)
    return runs


def model_names(recipe: CompareRecipe) -> dict[str, str]:
    """Title by stage, in the order of the table."""
    names = {"teacher": "teacher"} if recipe.teaches else {}
    words = {"scratch": "from labels", "distilled": "distilled"}
    for name, arm in recipe.arms.items():
        names |= {
            _model(recipe, name, lesson): f"{name}, {words[lesson]}" for lesson in arm.lessons
        }
    if recipe.compress:
        names["ptq"] = f"{recipe.student}, distilled, int8"
        if recipe.quantize.qat:
            names["qat"] = f"{recipe.student}, distilled, int8 trained"
        names["prune"] = f"{recipe.student}, distilled, pruned"
        names["quantize"] = f"{recipe.student}, distilled, pruned, int8"
    return names


def _model(recipe: CompareRecipe, arm: str, lesson: str) -> str:
    """The stage that leaves an arm trained by a lesson."""
    return "distill" if (arm, lesson) == (recipe.student, "distilled") else f"{arm}-{lesson}"


def spread_of(runs: Sequence[dict[str, Any]], model: str, figure: str = METRIC) -> Spread:
    """One figure of one model over runs."""
    return Spread(tuple(float(run["models"][model][figure]) for run in runs))


def differences(recipe: CompareRecipe, runs: Sequence[dict[str, Any]]) -> list[PairedDifference]:
    """What the comparison is about, each as a paired difference in accuracy."""
    names, student = model_names(recipe), recipe.student
    others = [arm for arm in recipe.arms if arm != student]
    pairs = [
        (_model(recipe, arm, "distilled"), _model(recipe, arm, "scratch"))
        for arm in (student, *others)
    ]
    for arm in others:
        for lesson in get_args(Lesson):
            pairs.append((_model(recipe, student, lesson), _model(recipe, arm, lesson)))
        distilled = _model(recipe, arm, "distilled")
        pairs += [("qat" if "qat" in names else "ptq", distilled), ("quantize", distilled)]
    pairs += [("ptq", "distill"), ("qat", "distill"), ("prune", "distill"), ("quantize", "prune")]
    pairs.append(("distill", "teacher"))
    return [
        _difference(runs, first, second, names)
        for first, second in pairs
        if first in names and second in names
    ]


def _difference(
    runs: Sequence[dict[str, Any]], first: str, second: str, names: dict[str, str]
) -> PairedDifference:
    gains = [run["models"][first][METRIC] - run["models"][second][METRIC] for run in runs]
    by_fold: dict[str, list[float]] = {}
    for run, gain in zip(runs, gains, strict=True):
        by_fold.setdefault(run["fold"], []).append(gain)
    return PairedDifference(
        f"{names[first]} − {names[second]}",
        Spread(tuple(gains)),
        {fold: statistics.fmean(values) for fold, values in by_fold.items()},
    )
