"""Numbers that judge the order of scores: average precision, area under ROC, d-prime."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PERFECT = 1 - 1e-7
"""d-prime of a perfect order is infinite: an area above this, or below its mirror, counts as it."""


def average_precision(scores: Floats, truth: Floats) -> Floats:
    """Area under precision over recall of each class, equal scores taken together.

    Shape:
        scores, truth (0 or 1): (n, C). Returns (C,), NaN for a class without positives.
    """
    made = np.full(scores.shape[1], np.nan)
    for column in range(scores.shape[1]):
        hits, found = _steps(scores[:, column], truth[:, column])
        if hits[-1]:
            gained = np.diff(hits, prepend=0.0) / hits[-1]
            made[column] = float((gained * hits / found).sum())
    return made


def roc_auc(scores: Floats, truth: Floats) -> Floats:
    """Chance that a positive scores above a negative, equal scores counting half, by class.

    Shape:
        scores, truth (0 or 1): (n, C). Returns (C,), NaN for a class of one kind alone.
    """
    made = np.full(scores.shape[1], np.nan)
    for column in range(scores.shape[1]):
        hits, found = _steps(scores[:, column], truth[:, column])
        misses = found - hits
        if hits[-1] and misses[-1]:
            height = hits - np.diff(hits, prepend=0.0) / 2
            area = (np.diff(misses, prepend=0.0) * height).sum()
            made[column] = float(area / (hits[-1] * misses[-1]))
    return made


def d_prime(auc: float) -> float:
    """sqrt(2) * (normal quantile of the area): distance of two unit normals in deviations."""
    return math.sqrt(2) * NormalDist().inv_cdf(min(max(auc, 1 - PERFECT), PERFECT))


def _steps(scores: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Positives and rows found so far at the end of each run of equal scores, from the top."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    hits = np.cumsum(truth[order], dtype=np.float64)[ends]
    return hits, (ends + 1).astype(np.float64)
