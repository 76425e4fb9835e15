"""Accuracy and log loss overall, by class and by device, as the meta files ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aum_edge.submission.prediction import Logits
from aum_edge.submission.runtime.scenes import SCENES

Floats = NDArray[np.float64]
LEAST = 1e-15
"""Probabilities below this count as this in a log loss."""


def softmax(logits: Logits) -> Floats:
    """Probabilities (n, 10) in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers: Floats = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def plain_accuracy(logits: Logits, labels: Sequence[str]) -> float:
    """Percent of files whose highest logit is their scene's: what the kit prints."""
    return 100 * float((logits.argmax(axis=1) == _indices(labels)).mean())


def development_results(
    logits: Logits, labels: Sequence[str], devices: Sequence[str]
) -> dict[str, Any]:
    """``overall``, ``class_wise`` and ``device_wise``, each ``{accuracy, logloss}``.

    Accuracy is in percent. Overall it is the mean over classes, by which the challenge ranks; a
    device's is over its files.
    """
    truth = _indices(labels)
    hit = logits.argmax(axis=1) == truth
    loss = -np.log(np.clip(softmax(logits)[np.arange(len(truth)), truth], LEAST, 1.0))
    where = np.asarray(devices)
    classes = {name: _row(hit, loss, truth == index) for index, name in enumerate(SCENES)}
    known = [row["accuracy"] for row in classes.values() if row["accuracy"] is not None]
    return {
        "overall": {
            "accuracy": round(float(np.mean(known)), 2),
            "logloss": round(float(loss.mean()), 4),
        },
        "class_wise": classes,
        "device_wise": {
            name: _row(hit, loss, where == name) for name in sorted(set(devices), key=_device_rank)
        },
    }


def _row(hit: NDArray[np.bool_], loss: Floats, rows: NDArray[np.bool_]) -> dict[str, float | None]:
    """Of some files; None where there are none."""
    if not rows.any():
        return {"accuracy": None, "logloss": None}
    return {
        "accuracy": round(100 * float(hit[rows].mean()), 2),
        "logloss": round(float(loss[rows].mean()), 4),
    }


def _device_rank(name: str) -> tuple[bool, str]:
    """a, b, c, then s1 and so on."""
    return name.startswith("s"), name


def _indices(labels: Sequence[str]) -> NDArray[np.int64]:
    return np.array([SCENES.index(label) for label in labels], dtype=np.int64)
