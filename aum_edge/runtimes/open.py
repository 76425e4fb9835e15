"""Opening a model in a runtime: a call that classifies one example of the right shape."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import BenchError, RecipeError
from aum_edge.models.classifier import load
from aum_edge.runtimes.c import CClassifier
from aum_edge.runtimes.onnx import OnnxClassifier

RUNTIMES = ("onnxruntime", "torch", "openvino", "c")
SILENT = 0.1
"""Amplitude of the noise that a waveform input gets; feature inputs get unit noise."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """``run`` classifies the example once; ``input`` is features or waveform."""

    run: Callable[[], Any]
    clip_seconds: float
    input: str


def open_model(path: Path, runtime: str, threads: int, batch: int, seed: int) -> Opened:
    """Load a model.

    Args:
        path: A model directory for torch, an exported .c file for c, an .onnx file for the others.
        runtime: One of ``RUNTIMES``.
        threads: Of onnxruntime and OpenVINO; torch has one number for the whole process.
        batch: Clips at once.
        seed: Of the noise.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no classifier of ours, or C does not compile.
        BenchError: If OpenVINO cannot run the file.
    """
    if runtime == "torch":
        return _in_torch(path, batch, seed)
    if runtime == "c":
        return _in_c(path, batch, seed)
    classifier = OnnxClassifier(path, threads)
    declared = classifier.session.get_inputs()[0]
    example = example_for(declared.shape, classifier.frontend, batch, seed)
    kind = "waveform" if example.ndim == 2 else "features"
    if runtime == "openvino":
        run = _in_openvino(path, threads, example)
    else:
        session, feed = classifier.session, {declared.name: example}

        def run() -> Any:
            return session.run(None, feed)

    return Opened(run=run, clip_seconds=classifier.frontend.clip_seconds, input=kind)


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


def require_openvino() -> None:
    """Say so in one line where OpenVINO is asked for and not there.

    Raises:
        BenchError: If it is not installed.
    """
    if find_spec("openvino") is None:
        raise BenchError(
            "OpenVINO is not installed: `pip install openvino`, or leave it out of --runtime."
        )


def checked_runtimes(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        RecipeError: If one is unknown or repeated.
        BenchError: If OpenVINO is asked for and not installed.
    """
    wrong = [name for name in names if name not in RUNTIMES]
    if wrong or len(set(names)) < len(names):
        raise RecipeError(
            f"`runtime` takes {', '.join(RUNTIMES)}, each once, got {','.join(names)!r}."
        )
    if "openvino" in names:
        require_openvino()
    return tuple(names)


def _in_torch(path: Path, batch: int, seed: int) -> Opened:
    model = load(path)
    frontend = model.frontend
    shape = (batch, 1, frontend.n_mels, frontend.n_frames)
    example = torch.from_numpy(example_for(shape, frontend, batch, seed))

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return model(example)

    return Opened(run=run, clip_seconds=frontend.clip_seconds, input="features")


def _in_c(path: Path, batch: int, seed: int) -> Opened:
    """Compiled for this machine, or taken from the cache of what was compiled before."""
    program = CClassifier(path)
    frontend = program.frontend
    shape = (batch, 1, frontend.n_mels, frontend.n_frames)
    example = example_for(shape, frontend, batch, seed)

    def run() -> np.ndarray:
        return program.run(example)

    return Opened(run=run, clip_seconds=frontend.clip_seconds, input="features")


def _in_openvino(path: Path, threads: int, example: np.ndarray) -> Callable[[], Any]:
    """In float32 and for latency, the shape fixed as a device would have it."""
    require_openvino()
    openvino = importlib.import_module("openvino")
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        model = core.read_model(str(path))
        model.reshape(list(example.shape))
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        request.infer([example])
    except Exception as error:  # OpenVINO raises plain RuntimeErrors of many kinds.
        reason = " ".join(str(error).split())[:200]
        raise BenchError(f"OpenVINO cannot run {path.name}: {reason}") from error
    return lambda: request.infer([example])
