"""Accuracy of a classifier: overall, by class, by device, clip scores averaged over segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.data.cache import ClipArrays
from aum_edge.errors import DataError

Logits = Callable[[Tensor], Tensor]
"""Features (B, 1, n_mels, n_frames) to logits (B, C): a torch or an ONNX model."""


@dataclass(frozen=True)
class Metrics:
    """Scores of one split. ``n`` counts clips; a clip's score is the mean of its segments'."""

    n: int
    accuracy: float
    macro_accuracy: float
    log_loss: float
    segment_accuracy: float
    per_class: dict[str, float]
    per_device: dict[str, float]
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


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


def evaluate(logits: Logits, arrays: ClipArrays, labels: Sequence[str]) -> Metrics:
    """Score a model on one split.

    Raises:
        DataError: If the split is empty or the model answers NaN.
    """
    if len(arrays.labels) == 0:
        raise DataError("There is nothing to score: the split has no clips.")
    return score(predict_logits(logits, arrays.features), arrays, labels)


def score(logits: Tensor, arrays: ClipArrays, labels: Sequence[str]) -> Metrics:
    """Metrics of given segment logits (n, C)."""
    if not torch.isfinite(logits).all():
        bad = int((~torch.isfinite(logits)).any(dim=1).sum())
        raise DataError(f"The model answers NaN or Inf for {bad} of {len(logits)} segments.")
    segment_p = torch.softmax(logits.double(), dim=1).numpy()
    truth = np.asarray(arrays.labels)
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
    picked = clip_p[np.arange(len(clip_p)), clip_truth]
    return Metrics(
        n=len(hits),
        accuracy=float(hits.mean()),
        macro_accuracy=float(np.mean(list(per_class.values()))),
        log_loss=float(-np.log(np.clip(picked, 1e-15, 1)).mean()),
        segment_accuracy=float((segment_p.argmax(axis=1) == truth).mean()),
        per_class=per_class,
        per_device={str(name): float(hits[clip_device == name].mean()) for name in devices},
        confusion=confusion.tolist(),
    )


def _average_clips(
    segment_p: np.ndarray, truth: np.ndarray, arrays: ClipArrays
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean probabilities, label and device of each clip, in order of first appearance."""
    ids, first, inverse = np.unique(
        np.asarray(arrays.clip_ids), return_index=True, return_inverse=True
    )
    sums = np.zeros((len(ids), segment_p.shape[1]))
    np.add.at(sums, inverse, segment_p)
    mean = sums / np.bincount(inverse)[:, None]
    return mean, truth[first], np.asarray(arrays.devices)[first]
