"""Scores by recording device and by group of devices: real, simulated and trained on, unseen."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
from torch import Tensor

from aum_edge.data.features.cache import ClipArrays
from aum_edge.data.features.npy import Rows
from aum_edge.models.classifier import Activation
from aum_edge.training.metrics.classification import score

REAL, SEEN, UNSEEN = "real", "seen simulated", "unseen"
GROUPS = (REAL, SEEN, UNSEEN)
Scores = dict[str, float]
"""n, accuracy, macro_accuracy and log_loss."""


def device_groups(tested: Collection[str], trained: Collection[str]) -> dict[str, list[str]]:
    """Devices by group, without empty groups: trained real ones, trained simulated ones, others.

    Simulated devices are called s1, s2 and so on, as in the challenge.
    """
    groups: dict[str, list[str]] = {name: [] for name in GROUPS}
    for device in sorted(set(tested) - {""}):
        simulated = re.fullmatch(r"s\d+", device) is not None
        seen = SEEN if simulated else REAL
        groups[seen if device in trained else UNSEEN].append(device)
    return {name: devices for name, devices in groups.items() if devices}


def device_scores(
    logits: Tensor, arrays: ClipArrays, labels: Sequence[str], activation: Activation
) -> dict[str, Scores]:
    """Scores of each device of a split, from segment logits (n, C) of all its rows."""
    devices = sorted(set(arrays.devices) - {""})
    return {
        device: row_scores(logits, arrays, labels, activation, arrays.device_rows(device))
        for device in devices
    }


def group_scores(
    logits: Tensor,
    arrays: ClipArrays,
    labels: Sequence[str],
    activation: Activation,
    trained: Collection[str],
) -> dict[str, Scores]:
    """Scores over all clips of each group of devices."""
    made = {}
    for group, devices in device_groups(set(arrays.devices), trained).items():
        rows = np.sort(np.concatenate([arrays.device_rows(device) for device in devices]))
        made[group] = row_scores(logits, arrays, labels, activation, rows)
    return made


def row_scores(
    logits: Tensor,
    arrays: ClipArrays,
    labels: Sequence[str],
    activation: Activation,
    rows: Rows,
) -> Scores:
    """Accuracy, macro accuracy and log loss of some rows."""
    found = score(logits[rows], arrays.take(rows), labels, activation)
    return {
        "n": found.n,
        "accuracy": found.accuracy or 0.0,
        "macro_accuracy": found.macro_accuracy or 0.0,
        "log_loss": found.log_loss,
    }
