"""The data stage: the corpus's clips and normalisation, and training clips for importances."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.data.datamodule import AudioData
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.challenge_rules import check_rules


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


def training_batches(
    data: AudioData, seed: int, count: int = 8, size: int = 32
) -> Iterable[tuple[Tensor, Tensor]]:
    """Training clips for importances, spread over the split by the seed.

    Labels are (B,), or (B, C) where clips may have several.
    """
    arrays = data.arrays["train"]
    order = np.random.default_rng(seed).permutation(len(arrays.labels))
    for start in range(0, min(count * size, len(order)), size):
        rows = np.sort(order[start : start + size])
        features = torch.from_numpy(np.array(arrays.features[rows])).unsqueeze(1)
        answers = arrays.labels if arrays.targets is None else arrays.targets
        yield features, torch.from_numpy(np.asarray(answers)[rows])


STAGES = (
    Stage(
        name="data",
        needs=(),
        settings=lambda r: {"data": r.data.key(), "frontend": asdict(r.frontend)},
        work=prepare,
        check=check_rules,
    ),
)
