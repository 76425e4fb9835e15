"""Ranking metrics: average precision, area under ROC, d-prime."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
PERFECT = 1 - 1e-7
"""d-prime of a perfect order is infinite: an area above this, or below its mirror, counts as it."""
FEW = 1e-15


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


def single_label_scores(probabilities: Floats, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy, weighted precision, recall and f1, and what ranks.

    Balanced accuracy is the mean over the classes that have rows. Precision, recall and f1 are
    means over classes weighted by their rows; a class never predicted has precision and f1 of 0.
    Classes without rows, or with all of them, have no average precision or area and are left out.

    Shape:
        probabilities: (n, C); labels: (n,) class indices.
    """
    n_classes = probabilities.shape[1]
    top = probabilities.argmax(axis=1)
    rows = np.bincount(labels, minlength=n_classes).astype(float)
    hits = np.bincount(labels[top == labels], minlength=n_classes).astype(float)
    called = np.bincount(top, minlength=n_classes)
    recall = hits / np.maximum(rows, 1)
    precision = hits / np.maximum(called, 1)
    f1 = 2 * hits / np.maximum(rows + called, 1)
    share = rows / rows.sum()
    return {
        "accuracy": float(hits.sum() / rows.sum()),
        "macro_accuracy": float(recall[rows > 0].mean()),
        "precision": float((share * precision).sum()),
        "recall": float((share * recall).sum()),
        "f1": float((share * f1).sum()),
        **ranking_scores(probabilities, np.eye(n_classes)[labels]),
    }


def ranking_scores(scores: Floats, truth: Floats) -> dict[str, float]:
    """``map``, ``mean_auc`` and ``d_prime`` of the mean area, over the classes that have them.

    Empty where no class does. These are all that clips with several labels have.

    Shape:
        scores, truth (0 or 1): (n, C).
    """
    precision, area = average_precision(scores, truth), roc_auc(scores, truth)
    made: dict[str, float] = {}
    if not np.isnan(precision).all():
        made["map"] = float(np.nanmean(precision))
    if not np.isnan(area).all():
        made["mean_auc"] = float(np.nanmean(area))
        made["d_prime"] = d_prime(made["mean_auc"])
    return made


def binary_log_loss(probabilities: Floats, truth: Floats) -> float:
    """Mean binary cross entropy over rows and classes (n, C)."""
    p = np.clip(probabilities, FEW, 1 - FEW)
    return float(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean())
