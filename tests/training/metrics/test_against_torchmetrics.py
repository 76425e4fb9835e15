"""Our metrics against torchmetrics, which lightning brings: random scores, ties, rare classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional import classification as oracle

from aum_edge.training.metrics.ranking import (
    average_precision,
    binary_log_loss,
    ranking_scores,
    roc_auc,
    single_label_scores,
)

CLASSES = 5


def drawn(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (200, C) and labels (200,); the last class is rare, ties share values."""
    source = np.random.default_rng(seed)
    scores = source.dirichlet(np.ones(CLASSES), size=200)
    if ties:
        scores = np.round(scores, 1) + 1e-3
        scores /= scores.sum(axis=1, keepdims=True)
    labels = source.choice(CLASSES, size=200, p=[0.4, 0.3, 0.2, 0.08, 0.02])
    labels[:CLASSES] = np.arange(CLASSES)
    return scores, labels


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_one_label_a_clip(seed: int) -> None:
    scores, labels = drawn(seed, ties=False)
    ours = single_label_scores(scores, labels)
    p, y = torch.from_numpy(scores), torch.from_numpy(labels)
    for name, function, average in (
        ("accuracy", oracle.multiclass_accuracy, "micro"),
        ("macro_accuracy", oracle.multiclass_recall, "macro"),
        ("precision", oracle.multiclass_precision, "weighted"),
        ("recall", oracle.multiclass_recall, "weighted"),
        ("f1", oracle.multiclass_f1_score, "weighted"),
        ("map", oracle.multiclass_average_precision, "macro"),
        ("mean_auc", oracle.multiclass_auroc, "macro"),
    ):
        theirs = float(function(p, y, num_classes=CLASSES, average=average))
        assert ours[name] == pytest.approx(theirs, abs=1e-6), name


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
@pytest.mark.parametrize("seed", range(3))
def test_what_ranks_of_several_labels_a_clip(seed: int, ties: bool) -> None:
    scores, _ = drawn(seed, ties)
    truth = (np.random.default_rng(seed + 9).random(scores.shape) < 0.3).astype(np.float64)
    p, y = torch.from_numpy(scores), torch.from_numpy(truth).long()
    kwargs = {"num_labels": CLASSES, "average": "none"}
    areas = oracle.multilabel_auroc(p, y, **kwargs).numpy()
    precisions = oracle.multilabel_average_precision(p, y, **kwargs).numpy()
    np.testing.assert_allclose(roc_auc(scores, truth), areas, atol=1e-6)
    np.testing.assert_allclose(average_precision(scores, truth), precisions, atol=1e-6)
    assert ranking_scores(scores, truth)["map"] == pytest.approx(precisions.mean(), abs=1e-6)
    loss = torch.nn.functional.binary_cross_entropy(p, y.double())
    assert binary_log_loss(scores, truth) == pytest.approx(float(loss), abs=1e-9)
