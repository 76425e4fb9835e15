from __future__ import annotations

import math

import numpy as np
import pytest

from aum_edge.training.metrics.ranking import (
    average_precision,
    binary_log_loss,
    d_prime,
    ranking_scores,
    roc_auc,
    single_label_scores,
)


def slow_average_precision(scores, truth) -> float:
    """Precision at every threshold times the recall it gains."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = scores >= threshold
        recall = truth[taken].sum() / truth.sum()
        total += (recall - before) * truth[taken].mean()
        before = recall
    return total


def slow_auc(scores, truth) -> float:
    """Every pair of a positive and a negative."""
    pairs = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[truth == 1]
        for n in scores[truth == 0]
    ]
    return float(np.mean(pairs))


@pytest.fixture
def tied() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.integers(0, 6, (40, 4)) / 5, (rng.random((40, 4)) < 0.3).astype(float)


def test_average_precision_equals_the_sum_over_thresholds(tied) -> None:
    scores, truth = tied
    expected = [slow_average_precision(scores[:, c], truth[:, c]) for c in range(4)]
    np.testing.assert_allclose(average_precision(scores, truth), expected, rtol=1e-12)


def test_roc_auc_equals_the_share_of_ordered_pairs(tied) -> None:
    scores, truth = tied
    expected = [slow_auc(scores[:, c], truth[:, c]) for c in range(4)]
    np.testing.assert_allclose(roc_auc(scores, truth), expected, rtol=1e-12)


def test_both_agree_with_scikit_learn(tied) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, truth = tied
    for c in range(4):
        want = sklearn.average_precision_score(truth[:, c], scores[:, c])
        assert average_precision(scores, truth)[c] == pytest.approx(want)
        want = sklearn.roc_auc_score(truth[:, c], scores[:, c])
        assert roc_auc(scores, truth)[c] == pytest.approx(want)


def test_average_precision_by_hand() -> None:
    # Hits at ranks 1 and 3: (1/1 + 2/3) / 2.
    scores = np.array([[0.9], [0.8], [0.7], [0.1]])
    truth = np.array([[1.0], [0.0], [1.0], [0.0]])
    assert average_precision(scores, truth)[0] == pytest.approx(5 / 6)
    assert roc_auc(scores, truth)[0] == pytest.approx(3 / 4)


def test_d_prime_is_the_distance_of_two_unit_normals() -> None:
    # Unit normals d apart: the area is Phi(d / sqrt(2)).
    for distance in (0.0, 1.0, 2.5):
        area = 0.5 * (1 + math.erf(distance / 2))
        assert d_prime(area) == pytest.approx(distance, abs=1e-6)
    assert math.isfinite(d_prime(1.0))
    assert d_prime(0.0) == pytest.approx(-d_prime(1.0))


def test_classes_without_both_kinds_are_left_out() -> None:
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.6, 0.5]])
    truth = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert np.isnan(average_precision(scores, truth)).tolist() == [False, True, False]
    assert np.isnan(roc_auc(scores, truth)).tolist() == [False, True, True]
    assert ranking_scores(scores, truth)["mean_auc"] == 1.0
    assert ranking_scores(scores, np.zeros((2, 3))) == {}
    assert set(ranking_scores(scores, np.ones((2, 3)))) == {"map"}


def test_single_label_scores_by_hand() -> None:
    truth = np.array([0, 0, 0, 1])
    called = np.array([0, 0, 1, 1])
    made = single_label_scores(np.eye(3)[called] * 0.8 + 0.1, truth)
    assert made["accuracy"] == 0.75
    assert made["macro_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert made["precision"] == pytest.approx(0.75 * 1 + 0.25 * 0.5)
    assert made["recall"] == pytest.approx(0.75)
    assert made["f1"] == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)


def test_single_label_scores_agree_with_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 5, 60), rng.random((60, 5))
    made, called = single_label_scores(probabilities, truth), probabilities.argmax(1)
    assert made["macro_accuracy"] == pytest.approx(sklearn.balanced_accuracy_score(truth, called))
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn, f"{name}_score")
        assert made[name] == pytest.approx(score(truth, called, average="weighted"))


def test_binary_log_loss_by_hand() -> None:
    loss = binary_log_loss(np.array([[0.8, 0.4]]), np.array([[1.0, 0.0]]))
    assert loss == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
