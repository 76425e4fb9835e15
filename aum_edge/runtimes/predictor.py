"""Predictions of model directories, .onnx files and exported .c files: audio in, labels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import front_end
from aum_edge.data.features.cache import ClipArrays
from aum_edge.errors import AudioError, CheckpointError, ExportError
from aum_edge.models.classifier import Activation, load, probabilities
from aum_edge.models.predict import AudioLabeller
from aum_edge.runtimes.c import CClassifier
from aum_edge.runtimes.c_stream import CStream
from aum_edge.runtimes.contract import WAVEFORM
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.runtimes.onnx_stream import OnnxStream


@dataclass(frozen=True)
class Predictor:
    """What is needed to label audio: labels, front end and the way to logits."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    logits: Callable[[Tensor], Tensor]
    """Features (B, 1, n_mels, n_frames) to logits (B, n_classes)."""
    activation: Activation = "softmax"
    hears: str = "spectrogram"
    """``waveform``: ``logits`` takes clips (B, clip_samples), its front end is inside."""

    @property
    def labeller(self) -> AudioLabeller:
        """The same by clips instead of features, as `model.predict` labels audio."""
        shares = partial(probabilities, activation=self.activation)
        return AudioLabeller(self.labels, self.frontend, self._clip_logits, shares)

    def label_file(self, path: Path) -> dict[str, Any]:
        """``{file, label, probabilities}``, or ``{file, error}`` when the file is unusable.

        Longer audio is cut into clips of the model's length, the last one padded, and their
        probabilities are averaged; shorter audio is padded, as the front end says.
        """
        try:
            return _answer(path, self.labels, self.labeller.shares(path))
        except (AudioError, ExportError) as error:
            return {"file": str(path), "error": str(error)}

    def _clip_logits(self, clips: Tensor, lengths: Tensor) -> Tensor:
        if self.hears == WAVEFORM:
            check_whole(self.frontend, lengths)
            return self.logits(clips)
        return self.logits(front_end(self.frontend)(clips, lengths).unsqueeze(1))


@dataclass(frozen=True)
class StreamPredictor:
    """The same for a step graph or a C file: a file is one stream of any length."""

    stream: OnnxStream | CStream

    def label_file(self, path: Path) -> dict[str, Any]:
        """``{file, label, probabilities}``, or ``{file, error}`` when the file is unusable."""
        last: Tensor | None = None
        try:
            for logits in self.stream.hear_file(path):
                last = logits
        except AudioError as error:
            return {"file": str(path), "error": str(error)}
        if last is None:
            return {"file": str(path), "error": f"{path} is too short: it gives no token."}
        activation = self.stream.metadata.get("activation", "softmax")
        return _answer(path, self.stream.labels, probabilities(last.double(), activation))


def check_whole(frontend: FrontEndConfig, lengths: Tensor) -> None:
    """A front end inside a file is told no lengths: padding that it must not hear is refused.

    Raises:
        AudioError: If a clip (of ``lengths`` samples) is padded by frames and not by silence.
    """
    shortest = int(lengths.min())
    if frontend.padding != "audio" and shortest < frontend.clip_samples:
        raise AudioError(
            f"A clip of {shortest} samples is shorter than the {frontend.clip_samples} of the "
            f"model, and `padding: {frontend.padding}` is not inside this file: use whole clips, "
            "the model directory, or an export without --with-frontend."
        )


def waveforms_as_features(arrays: ClipArrays, frontend: FrontEndConfig) -> ClipArrays:
    """A split for a file with its front end inside: waveforms in the place of features.

    ``arrays`` were built with their waveforms.

    Raises:
        AudioError: If a clip is padded by frames.
    """
    if arrays.lengths is not None:
        check_whole(frontend, torch.from_numpy(np.array(arrays.lengths)))
    if arrays.waveforms is None:
        raise AudioError("The clips' waveforms are not there: build the cache with them.")
    return replace(arrays, features=arrays.waveforms)


def open_stream(path: Path) -> StreamPredictor:
    """A step graph or an exported .c file of a causal student, to hear files of any length.

    Raises:
        ExportError: If it is neither.
    """
    if path.suffix == ".c":
        return StreamPredictor(CStream(path))
    if path.suffix != ".onnx":
        raise ExportError(
            f"`--stream` takes a step graph: make one with `aum-edge export {path} step.onnx "
            "--streaming`."
        )
    return StreamPredictor(OnnxStream(path))


def _answer(path: Path, labels: tuple[str, ...], mean: Tensor) -> dict[str, Any]:
    """A file's label and the probabilities (n_classes,) of all of them."""
    shares = {name: round(float(p), 6) for name, p in zip(labels, mean, strict=True)}
    return {"file": str(path), "label": labels[int(mean.argmax())], "probabilities": shares}


def open_predictor(path: Path) -> Predictor:
    """A model directory, an .onnx file or an exported .c file, ready to label audio.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no ONNX classifier of ours.
    """
    if path.suffix == ".onnx":
        runner = OnnxClassifier(path)
        activation = runner.metadata.get("activation", "softmax")
        return Predictor(
            tuple(runner.labels), runner.frontend, runner.logits, activation, runner.hears
        )
    if path.suffix == ".c":
        return _of_c(CClassifier(path))
    model = load(path)
    if not model.labels:
        raise CheckpointError(
            f"{path} is an encoder without classes: fine-tune it first, with "
            "`teacher.model.init` in a recipe."
        )
    return Predictor(tuple(model.labels), model.frontend, model, model.activation)


def _of_c(program: CClassifier) -> Predictor:
    """It hears samples; padding that is no sound is torch's work, and then it is given features."""
    hears = program.frontend.padding == "audio"
    return Predictor(
        tuple(program.labels),
        program.frontend,
        program.hear if hears else program.logits,
        program.metadata.get("activation", "softmax"),
        WAVEFORM if hears else "spectrogram",
    )
