from __future__ import annotations

import numpy as np
import pytest

from aum_edge.submission.results import development_results, plain_accuracy, softmax
from aum_edge.submission.runtime.scenes import SCENES


def logits_for(answers: list[str], sure: float = 3.0) -> np.ndarray:
    rows = np.zeros((len(answers), 10), dtype=np.float32)
    for row, name in zip(rows, answers, strict=True):
        row[SCENES.index(name)] = sure
    return rows


def test_overall_is_the_mean_over_classes() -> None:
    truth = ["park", "park", "park", "tram"]
    logits = logits_for(["park", "park", "bus", "bus"])
    results = development_results(logits, truth, ["a", "a", "s1", "b"])
    assert results["overall"]["accuracy"] == pytest.approx(100 * (2 / 3 + 0) / 2, abs=0.01)
    assert plain_accuracy(logits, truth) == 50.0
    assert results["class_wise"]["park"]["accuracy"] == pytest.approx(66.67)
    assert results["class_wise"]["bus"] == {"accuracy": None, "logloss": None}
    assert list(results["device_wise"]) == ["a", "b", "s1"]
    assert results["device_wise"]["a"]["accuracy"] == 100.0
    right = -np.log(np.exp(3) / (np.exp(3) + 9))
    assert results["device_wise"]["a"]["logloss"] == pytest.approx(right, abs=1e-4)


def test_softmax_bears_large_logits() -> None:
    shares = softmax(np.array([[1e4, *[0.0] * 9]], dtype=np.float32))
    assert np.isfinite(shares).all()
    assert shares.sum() == 1
