"""One file, or a part of it, as a clip of the length that a model hears."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.fit import fit_samples
from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample

_MARGIN_SECONDS = 0.1
"""Read beyond the clip, so that its last samples hear what follows when they are resampled."""


def load_clip(
    path: str | os.PathLike[str],
    config: FrontEndConfig,
    start: float | None = None,
    end: float | None = None,
) -> Tensor:
    """Read audio, mix its channels, resample it and fit it to ``config.clip_seconds``.

    Longer audio is cropped and shorter audio zero-padded, both at the end. For ``kaldi_fbank``
    the mean is taken off before padding, so that an offset makes no step where the zeros begin;
    the front end takes it off once more, which then changes nothing.

    Args:
        path: Audio file.
        config: The front end whose rate and length are wanted.
        start: First second to use; ``None`` is the beginning.
        end: Second to stop at; ``None`` is the end of the file.

    Returns:
        (clip_samples,) in float32 at ``config.sample_rate``.

    Cost: decodes the clip and a tenth of a second after it, not the whole file.

    Raises:
        AudioError: As :func:`aum_edge.audio.io.read_audio`.
    """
    wanted = (start or 0.0) + config.clip_seconds + _MARGIN_SECONDS
    samples, rate = read_audio(path, start, wanted if end is None else min(end, wanted))
    waveform = resample(torch.from_numpy(samples), rate, config.sample_rate)
    if config.kind == "kaldi_fbank":
        waveform = waveform - waveform.mean()
    return fit_samples(waveform, config.clip_samples).contiguous()
