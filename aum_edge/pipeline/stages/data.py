"""The corpus of a run: what it holds, and clips of it for measuring."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.pipeline.run import Run


def prepare(run: Run, folder: Path) -> dict[str, Any]:
    """What the corpus holds, and the normalisation of its training split."""
    data = run.data
    clips = {split: len(arrays.labels) for split, arrays in data.arrays.items()}
    devices = {split: sorted(set(arrays.devices) - {""}) for split, arrays in data.arrays.items()}
    return {
        "corpus": data.manifest.name,
        "labels": list(data.labels),
        "clips": clips,
        "devices": devices,
        "normalization": {"mean": data.normalization.mean, "std": data.normalization.std},
        "fingerprint": data.fingerprint,
    }


def training_batches(run: Run, count: int = 8, size: int = 32) -> Iterable[tuple[Tensor, Tensor]]:
    """Training clips for importances, spread over the split by the recipe's seed.

    Labels are (B,), or (B, C) where clips may have several.
    """
    arrays = run.data.arrays["train"]
    order = np.random.default_rng(run.recipe.seed).permutation(len(arrays.labels))
    for start in range(0, min(count * size, len(order)), size):
        rows = np.sort(order[start : start + size])
        features = torch.from_numpy(np.array(arrays.features[rows])).unsqueeze(1)
        answers = arrays.labels if arrays.targets is None else arrays.targets
        yield features, torch.from_numpy(np.asarray(answers)[rows])
