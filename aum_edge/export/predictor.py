"""One face for a model directory and an .onnx file: audio files in, labels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample
from aum_edge.errors import AudioError
from aum_edge.export.runner import OnnxClassifier
from aum_edge.models.directory import load

SILENCE = 1e-6


@dataclass(frozen=True)
class Predictor:
    """What is needed to label audio: labels, front end and the way to logits."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    logits: Callable[[Tensor], Tensor]
    """Features (B, 1, n_mels, n_frames) to logits (B, n_classes)."""

    def label_file(self, path: Path) -> dict[str, Any]:
        """``{file, label, probabilities}``, or ``{file, error}`` when the file is unusable.

        Longer audio is cut into clips of the model's length, the last one padded, and their
        probabilities are averaged; shorter audio is zero-padded.
        """
        try:
            clips = self._clips(path)
        except AudioError as error:
            return {"file": str(path), "error": str(error)}
        with torch.inference_mode():
            features = FrontEnd(self.frontend)(clips).unsqueeze(1)
            mean = torch.softmax(self.logits(features).double(), dim=1).mean(dim=0)
        shares = {name: round(float(p), 6) for name, p in zip(self.labels, mean, strict=True)}
        return {
            "file": str(path),
            "label": self.labels[int(mean.argmax())],
            "probabilities": shares,
        }

    def _clips(self, path: Path) -> Tensor:
        """Audio as clips (n, clip_samples)."""
        samples, rate = read_audio(path)
        if abs(samples).max() < SILENCE:
            raise AudioError(f"{path} is silent: there is nothing to label.")
        waveform = resample(torch.from_numpy(samples), rate, self.frontend.sample_rate)
        size = self.frontend.clip_samples
        missing = -len(waveform) % size
        return torch.nn.functional.pad(waveform, (0, missing)).reshape(-1, size)


def open_predictor(path: Path) -> Predictor:
    """A model directory or an .onnx file, ready to label audio.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no ONNX classifier of ours.
    """
    if path.suffix == ".onnx":
        runner = OnnxClassifier(path)
        return Predictor(tuple(runner.labels), runner.frontend, runner.logits)
    model = load(path)
    return Predictor(tuple(model.labels), model.frontend, model)
