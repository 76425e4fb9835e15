"""A file's clip, ready for the front end: mono, at the right rate, of the right length."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample


def load_clip(
    path: str | Path, config: FrontEndConfig, start: float | None = None, end: float | None = None
) -> Tensor:
    """(clip_samples,) in float32: channels averaged, resampled, cropped or zero-padded at the end.

    Raises:
        AudioError: As :func:`aum_edge.audio.io.read_audio` does.
    """
    samples, rate = read_audio(path, start, end)
    return fit_length(resample(torch.from_numpy(samples), rate, config.sample_rate), config)


def fit_length(waveform: Tensor, config: FrontEndConfig) -> Tensor:
    """Crop or zero-pad (..., samples) at its end to the length of a clip."""
    size = config.clip_samples
    return F.pad(waveform[..., :size], (0, max(0, size - waveform.shape[-1])))
