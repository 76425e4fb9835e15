"""Teacher logits and features of the clips as they are, computed once and cached."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from aum_edge.core.files import disk_errors, new_file
from aum_edge.core.locks import hold_lock
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.data.features.cache import build_cache
from aum_edge.data.features.stream import stream_splits
from aum_edge.data.manifest import Manifest, Split
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import Loss
from aum_edge.training.distillation.cache_file import (
    CacheFile,
    CacheWriter,
    TeacherOutput,
    as_stored,
    open_cache_file,
)
from aum_edge.training.distillation.ensemble import ensemble_logits, teacher_ensemble
from aum_edge.training.distillation.features import FeatureHooks
from aum_edge.training.metrics.classification import predict_logits

log = logging.getLogger(__name__)
BATCH = 64


def teacher_logits(
    teachers: Sequence[AudioClassifier],
    data: AudioData,
    cache_dir: Path,
    progress: Progress | None = None,
    *,
    weights: Sequence[float] = (),
    kind: Loss = "cross-entropy",
    split: Split = "train",
) -> Tensor:
    """Ensemble logits (n, C) of one or several teachers on the clips of a split, in order.

    Each teacher takes the clips through its own front end and gives the data's classes; the
    ensemble takes their mean. Each one's logits are kept under a key made of its weights, its
    front end and the data, so a changed teacher or corpus never gets logits of an old file.

    Raises:
        RecipeError: If there is no teacher, or one that does not know some class of the data.
    """
    members = teacher_ensemble(teachers, data.labels, weights)
    outputs = [
        member.read(_cached_logits(member.model, data, cache_dir, split, progress), kind)
        for member in members
    ]
    return ensemble_logits(outputs, members)


def teacher_features(
    teacher: AudioClassifier,
    data: AudioData,
    cache_dir: Path,
    blocks: Sequence[int],
    progress: Progress | None = None,
) -> CacheFile:
    """Tokens of some of a teacher's blocks on the training clips, in order, in float16."""
    folder = cache_dir / f"tokens-{_key(teacher, data, 'train', list(blocks))}"
    stored = open_cache_file(folder)
    if stored is not None:
        return stored
    # Another training may be running the same teacher: this one waits for its outputs.
    with hold_lock(folder.with_name(f"{folder.name}.lock")):
        stored = open_cache_file(folder)
        if stored is None:
            features = _features(teacher, data, cache_dir, "train", progress)
            _write_features(folder, teacher, features, blocks, progress)
            stored = open_cache_file(folder)
    if stored is None:
        raise OSError(f"{folder} cannot be read back after it was written.")
    return stored


def _write_features(
    folder: Path,
    teacher: AudioClassifier,
    features: NDArray[np.float32],
    blocks: Sequence[int],
    progress: Progress | None,
) -> None:
    """Run the teacher on all clips, (n, n_mels, n_frames), a batch at a time."""
    hooks = FeatureHooks(teacher, blocks)
    teacher.eval()
    with CacheWriter(folder) as writer:
        for start in range(0, len(features), BATCH):
            batch = np.array(features[start : start + BATCH], dtype=np.float32)
            with torch.no_grad(), hooks.recording() as tokens:
                logits = _logits_on_device(teacher, torch.from_numpy(batch).unsqueeze(1))
            rows = np.arange(start, start + len(batch))
            writer.append(rows, TeacherOutput(logits.float(), tuple(map(as_stored, tokens))))
            if progress:
                progress(start + len(batch), len(features), "clips run through the teacher")


def teacher_key(teacher: AudioClassifier) -> str:
    """Hash of everything that a teacher's outputs depend on."""
    parts = [teacher.frontend, teacher.normalization, teacher.backbone.config]
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(json.dumps(teacher.quantization, sort_keys=True).encode())
    for name, tensor in sorted(teacher.state_dict().items()):
        digest.update(f"{name} {tensor.dtype}".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()


def _cached_logits(
    teacher: AudioClassifier,
    data: AudioData,
    cache_dir: Path,
    split: Split,
    progress: Progress | None,
) -> Tensor:
    """A teacher's logits of the clips of a split, (n, its classes), from the cache if there."""
    path = cache_dir / f"logits-{_key(teacher, data, split)}.safetensors"
    if path.exists():
        try:
            stored = load_file(path)["logits"]
            if stored.shape == (len(data.arrays[split]), len(teacher.labels)):
                return stored
        except (SafetensorError, KeyError) as error:
            log.warning("Teacher logits in %s are damaged (%s); computing them again.", path, error)
    features = _features(teacher, data, cache_dir, split, progress)
    teacher.eval()
    logits = predict_logits(partial(_logits_on_device, teacher), features, BATCH, progress)
    with disk_errors(cache_dir, "teacher logits"), new_file(path) as draft:
        save_file({"logits": logits.contiguous()}, draft)
    return logits


def _logits_on_device(teacher: AudioClassifier, features: Tensor) -> Tensor:
    """Logits, wherever an earlier training has put the teacher."""
    logits: Tensor = teacher(features.to(next(teacher.parameters()).device))
    return logits


def _features(
    teacher: AudioClassifier,
    data: AudioData,
    cache_dir: Path,
    split: Split,
    progress: Progress | None,
) -> np.ndarray:
    """A split by the teacher's front end; nothing is stored of a corpus read while training."""
    if teacher.frontend == data.frontend:
        return data.arrays[split].features
    log.info("The teacher has a front end of its own: its features are made from the audio.")
    rows = Manifest(data.manifest.name, data.manifest.split(split), data.labels)
    if data.config.store == "stream":
        return stream_splits(rows, teacher.frontend)[split].features
    return build_cache(rows, teacher.frontend, cache_dir, False, progress)[split].features


def _key(
    teacher: AudioClassifier, data: AudioData, split: Split, blocks: list[int] | None = None
) -> str:
    text = f"2|{data.fingerprint}|{split}|{blocks}|{teacher_key(teacher)}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
