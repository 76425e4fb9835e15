"""A model to be timed: a model directory run by torch, or an .onnx file run by onnxruntime."""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import ExportError
from aum_edge.export.runner import OnnxClassifier
from aum_edge.models.directory import load

LOADS = 3
"""Times a model is loaded; the median counts."""


@dataclass(frozen=True)
class Contestant:
    """A loaded model, what it took to load it, and a call that classifies its example."""

    model: str
    runtime: str
    sha256: str
    clip_seconds: float
    load_ms: float
    rss_mb: float
    run: Callable[[], Any]


def enter(path: Path, threads: int, seed: int) -> Contestant:
    """Load a model and run it once.

    ``rss_mb`` is what the process grew by for the first load and run; pages that an earlier model
    left free may make it small.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no ONNX classifier of ours.
    """
    if not path.exists():
        raise ExportError(f"There is no model {path}: give a model directory or an .onnx file.")
    opened = _open_onnx if path.is_file() else _open_directory
    gc.collect()
    before = psutil.Process().memory_info().rss
    loads = []
    started = time.perf_counter_ns()
    frontend, run = opened(path, threads, seed)
    loads.append(time.perf_counter_ns() - started)
    run()
    grown = psutil.Process().memory_info().rss - before
    for _ in range(LOADS - 1):
        started = time.perf_counter_ns()
        opened(path, threads, seed)
        loads.append(time.perf_counter_ns() - started)
    return Contestant(
        model=str(path),
        runtime="onnxruntime" if path.is_file() else "torch",
        sha256=_sha256(path if path.is_file() else path / "model.safetensors"),
        clip_seconds=frontend.clip_seconds,
        load_ms=float(np.median(loads)) / 1e6,
        rss_mb=max(0.0, grown / 1e6),
        run=run,
    )


Opened = tuple[FrontEndConfig, Callable[[], Any]]


def _open_onnx(path: Path, threads: int, seed: int) -> Opened:
    classifier = OnnxClassifier(path, threads)
    example = _noise(classifier.frontend, seed)
    return classifier.frontend, lambda: classifier.run(example)


def _open_directory(path: Path, threads: int, seed: int) -> Opened:
    model = load(path)
    example = torch.from_numpy(_noise(model.frontend, seed))

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return model(example)

    return model.frontend, run


def _noise(frontend: FrontEndConfig, seed: int) -> np.ndarray:
    shape = (1, 1, frontend.n_mels, frontend.n_frames)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
