"""Weights with which rows are drawn, so that rare labels are heard as often as common ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aum_edge.data.cache import ClipArrays
from aum_edge.errors import DataError

NUMERATOR, OFFSET = 1000.0, 0.01
Weights = NDArray[np.float64]


def balanced_weights(arrays: ClipArrays) -> Weights:
    """Of each row (n,), the sum over its labels of 1000 / (rows with that label + 0.01).

    Source: the weight files of the AuM recipes.
    """
    if arrays.targets is None:
        counts = np.bincount(arrays.labels)
        return np.asarray((NUMERATOR / (counts + OFFSET))[arrays.labels], dtype=np.float64)
    targets = np.asarray(arrays.targets, dtype=np.float64)
    return np.asarray(targets @ (NUMERATOR / (targets.sum(axis=0) + OFFSET)), dtype=np.float64)


def read_weights(path: Path, rows: int) -> Weights:
    """One number a line, a line for each of ``rows`` training rows.

    Raises:
        DataError: A missing file, something that is no number of at least 0, another row count,
            only zeros.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The weight file {path} cannot be read: {error}.") from error
    weights = np.array([_number(text, path, line + 1) for line, text in enumerate(lines)])
    if len(weights) != rows:
        raise DataError(
            f"The weight file {path} has {len(weights)} numbers, the training split has {rows} "
            "rows: give one for each, in the manifest's order."
        )
    if not weights.sum() > 0:
        raise DataError(f"The weight file {path} holds only zeros: no row could be drawn.")
    return weights


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise DataError(
            f"The weight file {path} must hold a number of at least 0 in every line, got '{text}' "
            f"as number {line}."
        )
    return value
