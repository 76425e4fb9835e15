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
from aum_edge.errors import AudioError, ExportError
from aum_edge.models.classifier import Activation, AudioClassifier, probabilities
from aum_edge.models.predict import AudioLabeller, Ranking, Sound
from aum_edge.runtimes.contract import WAVEFORM
from aum_edge.runtimes.registry import stream_runtime, usual_runtime
from aum_edge.runtimes.torch_runtime import as_opened


@dataclass(frozen=True)
class Predictor:
    """A classifier of audio files: labels, front end and the function to logits."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    logits: Callable[[Tensor], Tensor]
    """Features (B, 1, n_mels, n_frames) to logits (B, n_classes)."""
    activation: Activation = "softmax"
    input_name: str = "spectrogram"
    """``waveform``: ``logits`` takes clips (B, clip_samples), its front end is inside."""

    @property
    def labeller(self) -> AudioLabeller:
        """The classifier of whole sounds that `model.predict` uses too."""
        shares = partial(probabilities, activation=self.activation)
        return AudioLabeller(self.labels, self.frontend, self._clip_logits, shares)

    def label_file(self, path: Path) -> dict[str, Any]:
        """``{file, label, probabilities}``, or ``{file, error}`` when the file is unusable.

        Longer audio is cut into clips of the model's length, the last one padded, and their
        probabilities are averaged; shorter audio is padded, as the front end says.
        """
        try:
            return _row(path, self.labels, self.labeller.shares(path))
        except (AudioError, ExportError) as error:
            return {"file": str(path), "error": str(error)}

    def _clip_logits(self, clips: Tensor, lengths: Tensor) -> Tensor:
        if self.input_name == WAVEFORM:
            check_whole(self.frontend, lengths)
            return self.logits(clips)
        return self.logits(front_end(self.frontend)(clips, lengths).unsqueeze(1))


@dataclass(frozen=True)
class StreamPredictor:
    """Streaming prediction with a step graph or a C file: a file is one stream of any length."""

    stream: Any
    """A ``StreamClassifier`` with ``labels`` and ``metadata``."""

    def label_file(self, path: Path) -> dict[str, Any]:
        """``{file, label, probabilities}``, or ``{file, error}`` when the file is unusable."""
        last: Tensor | None = None
        try:
            for logits in self.stream.file_logits(path):
                last = logits
        except AudioError as error:
            return {"file": str(path), "error": str(error)}
        if last is None:
            return {"file": str(path), "error": f"{path} is too short: it gives no token."}
        activation = self.stream.metadata.get("activation", "softmax")
        return _row(path, self.stream.labels, probabilities(last.double(), activation))


def check_whole(frontend: FrontEndConfig, lengths: Tensor) -> None:
    """Refuse padded clips for a file whose front end is inside and gets no lengths.

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
    """A split for a file with its front end inside: waveforms instead of features.

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
    """A step graph or an exported .c file of a causal student, for files of any length.

    Raises:
        ExportError: If it is neither.
    """
    stream = stream_runtime(path).stream
    assert stream is not None
    return StreamPredictor(stream(path))


def _row(path: Path, labels: tuple[str, ...], mean: Tensor) -> dict[str, Any]:
    """A file's label and the probabilities (n_classes,) of all of them."""
    shares = {name: round(float(p), 6) for name, p in zip(labels, mean, strict=True)}
    return {"file": str(path), "label": labels[int(mean.argmax())], "probabilities": shares}


def open_predictor(model: AudioClassifier | str | Path) -> Predictor:
    """A model, its directory or an exported file in its usual runtime, ready to label audio.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no classifier of ours.
    """
    if isinstance(model, AudioClassifier):
        return Predictor(*as_opened(model, "The model"))
    path = Path(model)
    opened = usual_runtime(path).classifier
    if opened is None:
        raise ExportError(
            f"{path} can be timed but not used for prediction: give the model directory."
        )
    return Predictor(*opened(path))


def predict(
    model: AudioClassifier | str | Path,
    audio: Sound | list[Sound] | tuple[Sound, ...],
    sample_rate: int | None = None,
    *,
    top_k: int | None = None,
) -> Ranking | list[Ranking]:
    """The most probable classes of sounds by a model or by an exported file.

    Args:
        model: A classifier, its directory, or an exported file.
        audio: A path, or samples (n,) or (channels, n) within [-1, 1]; or a list of them. Longer
            audio is cut into clips, whose probabilities are averaged.
        sample_rate: Of the samples, Hz; a file has its own.
        top_k: How many classes are returned; all of them if None.

    Returns:
        (label, probability) pairs of one sound, the most probable first, or a list of these.

    Raises:
        CheckpointError: If the model is an encoder without classes, or no model.
        AudioError: If a sound cannot be read or used, or ``top_k`` is below 1.
    """
    return open_predictor(model).labeller.predict(audio, sample_rate, top_k)
