"""A runtime: what can run a model, which files it takes, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aum_edge.audio.config import FrontEndConfig

DIRECTORY = ""
"""The ending of a model directory."""


class Opened(NamedTuple):
    """A loaded model with an example: ``run`` classifies it once."""

    run: Callable[[], Any]
    clip_seconds: float
    input: str
    """features or waveform."""


class OpenedClassifier(NamedTuple):
    """What labelling audio needs: classes, front end and the way to logits."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    logits: Callable[[Any], Any]
    """Features (B, 1, n_mels, n_frames), or clips (B, clip_samples), to logits (B, n_classes)."""
    activation: Any
    """softmax or sigmoid."""
    hears: str
    """spectrogram or waveform: what ``logits`` takes."""


def nothing_missing() -> str:
    """The answer of a runtime that is always there."""
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
