"""Scores of a classifier: overall, by class, by device, clip scores averaged over segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.data.features.cache import ClipArrays
from aum_edge.errors import DataError
from aum_edge.models.classifier import Activation, probabilities
from aum_edge.training.metrics.ranking import (
    average_precision,
    binary_log_loss,
    ranking_scores,
    single_label_scores,
)

Logits = Callable[[Tensor], Tensor]
"""Features (B, 1, n_mels, n_frames) to logits (B, C): a torch or an ONNX model."""


@dataclass(frozen=True)
class Metrics:
    """Scores of one split. ``n`` counts clips; a clip's score is the mean of its segments'.

    None is a number that does not exist for the split: all about right and wrong predictions where
    clips have several labels, what ranks where no class has clips inside and outside it. There
    ``per_class`` holds average precisions and ``log_loss`` is binary, the mean over classes.
    :mod:`aum_edge.training.metrics.ranking` has the others; ``macro_accuracy`` is the balanced
    accuracy.
    """

    n: int
    log_loss: float
    per_class: dict[str, float]
    per_device: dict[str, float] = field(default_factory=dict)
    accuracy: float | None = None
    macro_accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    map: float | None = None
    mean_auc: float | None = None
    d_prime: float | None = None
    segment_accuracy: float | None = None
    confusion: list[list[int]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """What exists, as plain JSON values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def predict_logits(
    logits: Logits,
    features: np.ndarray,
    batch_size: int = 64,
    progress: Callable[[int, int, str], None] | None = None,
) -> Tensor:
    """Logits (n, C) of features (n, n_mels, n_frames), in order and in batches."""
    rows = []
    with torch.inference_mode():
        for start in range(0, len(features), batch_size):
            batch = np.array(features[start : start + batch_size], dtype=np.float32)
            rows.append(logits(torch.from_numpy(batch).unsqueeze(1)).float().cpu())
            if progress:
                progress(min(start + batch_size, len(features)), len(features), "clips scored")
    return torch.cat(rows)


def evaluate(
    logits: Logits,
    arrays: ClipArrays,
    labels: Sequence[str],
    activation: Activation = "softmax",
) -> Metrics:
    """Score a model on one split.

    ``activation`` makes its probabilities, as where it predicts; clips with several labels always
    take a sigmoid for each.

    Raises:
        DataError: If the split is empty or the model gives NaN.
    """
    if len(arrays.labels) == 0:
        raise DataError("There is nothing to score: the split has no clips.")
    return score(predict_logits(logits, arrays.features), arrays, labels, activation)


def score(
    logits: Tensor,
    arrays: ClipArrays,
    labels: Sequence[str],
    activation: Activation = "softmax",
) -> Metrics:
    """Metrics of given segment logits (n, C)."""
    if not torch.isfinite(logits).all():
        bad = int((~torch.isfinite(logits)).any(dim=1).sum())
        raise DataError(f"The model answers NaN or Inf for {bad} of {len(logits)} segments.")
    targets = getattr(arrays, "targets", None)
    if targets is not None:
        return _multi_label(torch.sigmoid(logits.double()).numpy(), targets, arrays, labels)
    segment_p = probabilities(logits.double(), activation).numpy()
    return _single_label(segment_p, np.asarray(arrays.labels), arrays, labels)


def _single_label(
    segment_p: np.ndarray, truth: np.ndarray, arrays: ClipArrays, labels: Sequence[str]
) -> Metrics:
    clip_p, clip_truth, clip_device = _average_clips(segment_p, truth, arrays)
    hits = clip_p.argmax(axis=1) == clip_truth
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (clip_truth, clip_p.argmax(axis=1)), 1)
    per_class = {
        name: float(hits[clip_truth == index].mean())
        for index, name in enumerate(labels)
        if (clip_truth == index).any()
    }
    devices = sorted(set(clip_device) - {""})
    counted: dict[str, Any] = {**single_label_scores(clip_p, clip_truth)}
    # One by one they are no distribution, which the log loss of one label a clip is about.
    picked = clip_p[np.arange(len(clip_p)), clip_truth] / clip_p.sum(axis=1)
    return Metrics(
        n=len(hits),
        log_loss=float(-np.log(np.clip(picked, 1e-15, 1)).mean()),
        segment_accuracy=float((segment_p.argmax(axis=1) == truth).mean()),
        per_class=per_class,
        per_device={str(name): float(hits[clip_device == name].mean()) for name in devices},
        confusion=confusion.tolist(),
        **counted,
    )


def _multi_label(
    segment_p: np.ndarray, truth: np.ndarray, arrays: ClipArrays, labels: Sequence[str]
) -> Metrics:
    clip_p, clip_truth, _ = _average_clips(segment_p, np.asarray(truth, dtype=float), arrays)
    precisions = average_precision(clip_p, clip_truth)
    ranked: dict[str, Any] = {**ranking_scores(clip_p, clip_truth)}
    return Metrics(
        n=len(clip_p),
        log_loss=binary_log_loss(clip_p, clip_truth),
        per_class={
            name: float(precisions[index])
            for index, name in enumerate(labels)
            if not np.isnan(precisions[index])
        },
        **ranked,
    )


def _average_clips(
    segment_p: np.ndarray, truth: np.ndarray, arrays: ClipArrays
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probabilities, truth and device of each clip; segments of one clip share a truth."""
    ids, first, inverse = np.unique(
        np.asarray(arrays.clip_ids), return_index=True, return_inverse=True
    )
    sums = np.zeros((len(ids), segment_p.shape[1]))
    np.add.at(sums, inverse, segment_p)
    mean = sums / np.bincount(inverse)[:, None]
    return mean, truth[first], np.asarray(arrays.devices)[first]
