"""Opening a model in a runtime: a call that classifies one example of the right shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aum_edge.audio.config import FrontEndConfig
from aum_edge.runtimes.registry import runtimes
from aum_edge.runtimes.runtime import Opened

SILENT = 0.1
"""Amplitude of the noise that a waveform input gets; feature inputs get unit noise."""


def open_model(path: Path, runtime: str, threads: int, batch: int, seed: int) -> Opened:
    """Load a model.

    Args:
        path: A model directory or a file, as the runtime takes it.
        runtime: A name of :func:`~aum_edge.runtimes.registry.runtimes`.
        threads: Of the runtime; torch has one number for the whole process.
        batch: Clips at once.
        seed: Of the noise.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no classifier of ours, or C does not compile.
        BenchError: If the runtime cannot run the file.
    """
    return runtimes()[runtime].open(path, threads, batch, seed)


def example_for(
    shape: Sequence[int | str | None], frontend: FrontEndConfig, batch: int, seed: int
) -> np.ndarray:
    """Noise of a graph's input shape; open dimensions are those of one clip of the front end.

    (batch, samples) is a waveform, (batch, 1, n_mels, n_frames) are features; float32.
    """
    usual: tuple[int, ...] = (batch, 1, frontend.n_mels, frontend.n_frames)
    if len(shape) == 2:
        usual = (batch, frontend.clip_samples)
    sizes = [
        given if isinstance(given, int) and given > 0 else other
        for given, other in zip(shape[1:], usual[1:], strict=True)
    ]
    noise = np.random.default_rng(seed).standard_normal((batch, *sizes), dtype=np.float32)
    return noise * np.float32(SILENT) if len(shape) == 2 else noise
