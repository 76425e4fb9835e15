"""A runtime: the files that it runs and how they are opened, and an example input for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aum_edge.audio.config import FrontEndConfig

if TYPE_CHECKING:
    import numpy as np

DIRECTORY = ""
"""The ending of a model directory."""
SILENT = 0.1
"""Amplitude of the noise that a waveform input gets; feature inputs get unit noise."""


class Opened(NamedTuple):
    """A loaded model with an example: ``run`` classifies it once."""

    run: Callable[[], Any]
    clip_seconds: float
    input: str
    """features or waveform."""


class OpenedClassifier(NamedTuple):
    """A classifier opened for prediction: classes, front end and the function to logits."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    logits: Callable[[Any], Any]
    """Features (B, 1, n_mels, n_frames), or clips (B, clip_samples), to logits (B, n_classes)."""
    activation: Any
    """softmax or sigmoid."""
    input_name: str
    """spectrogram or waveform: what ``logits`` takes."""


def nothing_missing() -> str:
    """``missing`` of a runtime that is always installed."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One runtime. Its module imports heavy libraries inside of the functions alone."""

    name: str
    endings: tuple[str, ...]
    """Files that it runs, such as ``.onnx``; ``DIRECTORY`` is a model directory."""
    open: Callable[[Path, int, int, int], Opened]
    """(path, threads, batch, seed) to a model with noise of that seed as its example."""
    classifier: Callable[[Path], OpenedClassifier] | None = None
    """What ``predict`` and ``eval`` use; None where the runtime is for timing alone."""
    stream: Callable[[Path], Any] | None = None
    """What ``predict --stream`` uses: a ``StreamClassifier`` with ``labels`` and ``metadata``."""
    missing: Callable[[], str] = nothing_missing
    """Why it cannot be used here, in one line; nothing where it can."""
    usual: bool = True
    """Whether it is the one that its files are run in when none is named."""


def example_for(
    shape: Sequence[int | str | None], frontend: FrontEndConfig, batch: int, seed: int
) -> np.ndarray:
    """Noise of a graph's input shape; open dimensions are those of one clip of the front end.

    (batch, samples) is a waveform, (batch, 1, n_mels, n_frames) are features; float32.
    """
    import numpy as np

    usual: tuple[int, ...] = (batch, 1, frontend.n_mels, frontend.n_frames)
    if len(shape) == 2:
        usual = (batch, frontend.clip_samples)
    sizes = [
        given if isinstance(given, int) and given > 0 else other
        for given, other in zip(shape[1:], usual[1:], strict=True)
    ]
    noise = np.random.default_rng(seed).standard_normal((batch, *sizes), dtype=np.float32)
    return noise * np.float32(SILENT) if len(shape) == 2 else noise
