"""Every number about a set of predictions that exists for it, by name."""

from __future__ import annotations

import numpy as np

from aum_edge.training.ranking import Floats, average_precision, d_prime, roc_auc

FEW = 1e-15


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
