"""A teacher's logits on the training clips, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aum_edge.data.cache import build_cache
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.metrics import predict_logits

log = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]


def teacher_logits(
    teachers: Sequence[AudioClassifier],
    data: AudioData,
    cache_dir: Path,
    progress: Progress | None = None,
) -> Tensor:
    """Mean logits (n_train, C) of one or several teachers on the training clips, in order.

    Each teacher hears the clips through its own front end. Its logits are kept under a key made
    of its weights, its front end and the data, so a changed teacher or corpus is never answered
    from an old file.

    Raises:
        RecipeError: If there is no teacher or one that knows other labels.
    """
    if not teachers:
        raise RecipeError("Distillation needs at least one teacher.")
    rows = []
    for teacher in teachers:
        if tuple(teacher.labels) != tuple(data.labels):
            raise RecipeError(
                f"The teacher knows the labels {list(teacher.labels)}, the data has "
                f"{list(data.labels)}; distillation needs the same classes in the same order."
            )
        rows.append(_cached_logits(teacher, data, cache_dir, progress))
    return torch.stack(rows).mean(dim=0)


def _cached_logits(
    teacher: AudioClassifier, data: AudioData, cache_dir: Path, progress: Progress | None
) -> Tensor:
    path = cache_dir / f"logits-{_key(teacher, data)[:32]}.safetensors"
    if path.exists():
        try:
            stored = load_file(path)["logits"]
            if stored.shape == (len(data.arrays["train"].labels), len(data.labels)):
                return stored
        except (SafetensorError, KeyError) as error:
            log.warning("Teacher logits in %s are damaged (%s); computing them again.", path, error)
    logits = predict_logits(teacher.eval(), _features(teacher, data, cache_dir), 64, progress)
    cache_dir.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({"logits": logits.contiguous()}, draft)
    draft.replace(path)
    return logits


def _features(teacher: AudioClassifier, data: AudioData, cache_dir: Path) -> np.ndarray:
    if teacher.frontend == data.frontend:
        return data.arrays["train"].features
    arrays = build_cache(data.manifest, teacher.frontend, cache_dir, waveforms=False, progress=None)
    return arrays["train"].features


def _key(teacher: AudioClassifier, data: AudioData) -> str:
    digest = hashlib.sha256(f"{data.fingerprint}|{teacher.frontend}".encode())
    digest.update(repr(teacher.normalization).encode())
    for name, tensor in sorted(teacher.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
