"""One file, or a part of it, as a clip of the length that a model hears."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.io import read_audio
from aum_edge.audio.padding import fit_samples
from aum_edge.audio.resample import resample
from aum_edge.errors import AudioError

_MARGIN_SECONDS = 0.1
"""Read beyond the clip, so that its last samples hear what follows when they are resampled."""


def load_clip(
    path: str | os.PathLike[str],
    config: FrontEndConfig,
    start: float | None = None,
    end: float | None = None,
) -> Tensor:
    """Read audio, mix its channels, resample it and fit it to ``config.clip_seconds``.

    Longer audio is cropped and shorter audio zero-padded, both at the end: see
    :func:`read_clip` for the clip before it is padded.

    Returns:
        (clip_samples,) in float32 at ``config.sample_rate``.

    Raises:
        AudioError: As :func:`read_clip`.
    """
    return fit_samples(read_clip(path, config, start, end), config.clip_samples).contiguous()


def read_clip(
    path: str | os.PathLike[str],
    config: FrontEndConfig,
    start: float | None = None,
    end: float | None = None,
) -> Tensor:
    """Read audio as :func:`load_clip` does, without padding.

    For ``kaldi_fbank`` the mean is taken off, so that an offset makes no step where zeros or
    another clip of a mixup begin; the features do not hear it, since Kaldi takes off every
    frame's own mean.

    Args:
        path: Audio file.
        config: The front end whose rate and length are wanted.
        start: First second to use; ``None`` is the beginning.
        end: Second to stop at; ``None`` is the end of the file.

    Returns:
        (samples,) in float32 at ``config.sample_rate``, at most ``config.clip_samples``.

    Cost: decodes the clip and a tenth of a second after it, not the whole file.

    Raises:
        AudioError: As :func:`aum_edge.audio.io.read_audio`; or if the clip gives not one frame
            and the front end pads by frames.
    """
    wanted = (start or 0.0) + config.clip_seconds + _MARGIN_SECONDS
    end = wanted if end is None else min(end, wanted)
    samples, rate = read_audio(path, start, end, config.channels)
    waveform = resample(torch.from_numpy(samples), rate, config.sample_rate)
    if config.kind == "kaldi_fbank":
        waveform = waveform - waveform.mean()
    waveform = waveform[: config.clip_samples]
    if config.padding != "audio" and config.frames_of(len(waveform)) < 1:
        raise AudioError(
            f"{path} gives {len(waveform)} samples at {config.sample_rate} Hz, less than one "
            f"window of {config.win_length}: there is no frame to hear. Take it out or record it "
            "again."
        )
    return waveform
