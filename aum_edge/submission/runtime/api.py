"""The four functions of the challenge's kit over a folder of weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from aum_edge.submission.runtime.scenes import SCENES
from aum_edge.submission.runtime.system import (
    Running,
    System,
    load_system,
    load_tensors,
    stream_logits,
)


def load_model(weights: Path, model_file_path: str | None) -> System:
    """As the kit's ``load_model``."""
    return load_system(weights, model_file_path)


def load_inputs(
    file_paths: Sequence[str],
    device_ids: Sequence[str],
    model: System,
    num_workers: int,
    batch_size: int,
) -> list[Tensor]:
    """As the kit's ``load_inputs``: one tensor (1, 1, n_mels, n_frames) a file."""
    return load_tensors(list(file_paths), list(device_ids), model, num_workers, batch_size)


def get_model_for_device(model: System, device_id: str) -> torch.nn.Module:
    """As the kit's ``get_model_for_device``."""
    return model.model.for_device(device_id)


def predict(
    file_paths: Sequence[str], device_ids: Sequence[str], model: System, running: Running
) -> tuple[list[Tensor], list[str]]:
    """As the kit's ``predict``: logits (10,) a file in the order given, and the class order."""
    rows: list[Tensor] = []
    for logits in stream_logits(list(file_paths), list(device_ids), model, running):
        rows.extend(logits.unbind())
    return rows, list(SCENES)
