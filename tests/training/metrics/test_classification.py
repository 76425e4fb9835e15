from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aum_edge.errors import DataError
from aum_edge.training.metrics.classification import evaluate, score

LABELS = ("bus", "park")


def arrays(labels: list[int], clip_ids: list[str], devices: list[str]) -> SimpleNamespace:
    return SimpleNamespace(
        labels=np.array(labels),
        clip_ids=clip_ids,
        devices=devices,
        features=np.zeros((len(labels), 4, 3), dtype=np.float32),
    )


def test_score_averages_segments_of_one_clip() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    result = score(logits, arrays([0, 0, 1], ["x", "x", "y"], ["a", "a", "b"]), LABELS)
    assert result.n == 2
    assert result.accuracy == 1.0
    assert result.segment_accuracy == pytest.approx(2 / 3)
    assert result.per_device == {"a": 1.0, "b": 1.0}
    assert result.confusion == [[1, 0], [0, 1]]


def test_score_macro_accuracy_weighs_classes_equally() -> None:
    logits = torch.tensor([[1.0, 0.0]] * 4)
    result = score(logits, arrays([0, 0, 0, 1], list("pqrs"), [""] * 4), LABELS)
    assert result.accuracy == 0.75
    assert result.macro_accuracy == 0.5
    assert result.per_class == {"bus": 1.0, "park": 0.0}
    assert result.per_device == {}


def test_score_log_loss_is_that_of_the_mean_probability() -> None:
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.4, 0.6]]))
    result = score(logits, arrays([0, 0], ["x", "x"], ["", ""]), LABELS)
    assert result.log_loss == pytest.approx(-np.log(0.6))


def test_score_of_several_labels_has_no_right_and_wrong() -> None:
    split = arrays([0, 0, 1], ["x", "x", "y"], ["", "", ""])
    split.targets = np.array([[1, 1], [1, 1], [0, 1]], dtype=np.float32)
    logits = torch.tensor([[4.0, 1.0], [-4.0, 1.0], [-1.0, 2.0]])
    result = score(logits, split, LABELS)
    assert result.n == 2
    # The mean of sigmoid(4) and sigmoid(-4) is 0.5; sigmoid(-1) is below it.
    assert result.per_class == {"bus": 1.0, "park": 1.0}
    assert result.map == result.mean_auc == 1.0
    p = torch.sigmoid(torch.tensor([-1.0, 1.0, 2.0])).numpy()
    right = [0.5, p[1], 1 - p[0], p[2]]
    assert result.log_loss == pytest.approx(-np.mean(np.log(right)))
    assert set(result.to_dict()) == {
        "n", "log_loss", "per_class", "per_device", "map", "mean_auc", "d_prime",
    }  # fmt: skip


def test_score_of_one_label_has_every_number() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    result = score(logits, arrays([0, 1, 1], list("xyz"), [""] * 3), LABELS)
    assert all(value is not None for value in vars(result).values())
    assert result.f1 == result.map == 1.0


def test_score_refuses_nan() -> None:
    with pytest.raises(DataError, match="NaN or Inf for 1 of 2"):
        score(
            torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]),
            arrays([0, 1], ["x", "y"], ["", ""]),
            LABELS,
        )


def test_evaluate_refuses_an_empty_split() -> None:
    with pytest.raises(DataError, match="no clips"):
        evaluate(lambda x: x, arrays([], [], []), LABELS)


def test_scores_use_the_probabilities_that_predictions_use() -> None:
    # Two segments of one clip: by softmax the first decides, one by one the second does.
    logits = torch.tensor([[-9.0, -14.0], [-2.0, -1.0]])
    split = arrays([1, 1], ["x", "x"], ["", ""])
    assert score(logits, split, LABELS).accuracy == 0.0
    by_one = score(logits, split, LABELS, "sigmoid")
    assert by_one.accuracy == 1.0
    mean = torch.sigmoid(logits.double()).mean(dim=0)
    assert by_one.log_loss == pytest.approx(-float(torch.log(mean[1] / mean.sum())))
