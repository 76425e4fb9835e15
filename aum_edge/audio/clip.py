"""Audio files and arrays as clips of a model's length: the one reader of training and prediction.

File or array -> mono -> the front end's rate -> clips, at most ``clip_samples`` long -> padded to a
batch. Features of the batch are :func:`aum_edge.audio.frontend.front_end`'s.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.io import read_audio, to_mono
from aum_edge.audio.resample import resample
from aum_edge.errors import AudioError

SILENCE = 1e-6
"""Peak below which there is nothing to label."""
_MARGIN_SECONDS = 0.1
"""Read beyond the clip, so that its last samples are resampled with what follows."""


class ClipBatch(NamedTuple):
    """Clips of one length, and their samples before padding."""

    waveforms: Tensor
    """(B, clip_samples) float32, zero beyond ``lengths``."""
    lengths: Tensor
    """(B,) int64 samples of each clip before padding."""


def read_clip(
    path: str | os.PathLike[str],
    config: FrontEndConfig,
    start: float | None = None,
    end: float | None = None,
) -> Tensor:
    """One file, or a part of it, as one clip: longer audio is cropped at its end.

    For ``kaldi_fbank`` the mean is taken off, so that an offset makes no step where zeros or
    another clip of a mixup begin; the features do not depend on it, since Kaldi takes off every
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
    return _as_clip(resample(torch.from_numpy(samples), rate, config.sample_rate), config, path)


def read_clips(path: str | os.PathLike[str], config: FrontEndConfig) -> list[Tensor]:
    """All of a file, cut into clips as :func:`read_clip` gives them.

    The last one may be shorter; a rest of less than one hop, or too short for a frame, is left out.

    Cost: decodes the whole file at once; an hour at 44.1 kHz takes 1 GB.

    Raises:
        AudioError: As :func:`read_clip`; or if the file is silent.
    """
    samples, rate = read_audio(path, channels=config.channels)
    return _cut(samples, rate, config, path)


def array_clips(
    samples: NDArray[Any] | Tensor, sample_rate: int | None, config: FrontEndConfig
) -> list[Tensor]:
    """The clips of samples (n,) or (channels, n) in [-1, 1], as :func:`read_clips` cuts a file.

    Raises:
        AudioError: Without the rate, for another shape or type, NaN, or silence.
    """
    if sample_rate is None:
        raise AudioError(
            "An array does not say its rate: pass `sample_rate=` in Hz, such as 44100."
        )
    array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else np.asarray(samples)
    if array.dtype.kind != "f":
        raise AudioError(
            f"Samples must be floats within [-1, 1], got {array.dtype}: divide integers by their "
            "full scale, 32768 for int16."
        )
    if array.ndim not in (1, 2) or not array.size or len(array) > array.shape[-1]:
        raise AudioError(
            f"Samples must be (samples,) or (channels, samples), got {array.shape}: transpose "
            "them where channels come last, and give several sounds as a list."
        )
    if not np.isfinite(array).all():
        raise AudioError("The array holds NaN or infinite samples: mend it first.")
    # (channels, n) -> (n, channels), in the order in memory that a decoder gives
    channels_last = np.ascontiguousarray(np.atleast_2d(array).T, dtype=np.float32)
    return _cut(to_mono(channels_last, config.channels), sample_rate, config, "The array")


def batch_clips(clips: Sequence[Tensor], config: FrontEndConfig) -> ClipBatch:
    """Clips (samples,) of at most ``clip_samples`` as one batch, zero-padded at their ends."""
    waveforms = torch.stack([fit_samples(clip, config.clip_samples) for clip in clips])
    return ClipBatch(waveforms, torch.tensor([len(clip) for clip in clips]))


def fit_samples(waveform: Tensor, samples: int) -> Tensor:
    """Crop or zero-pad a waveform at its end.

    Shape:
        (..., n) to (..., samples).
    """
    missing = samples - waveform.shape[-1]
    return F.pad(waveform, (0, missing)) if missing > 0 else waveform[..., :samples]


def _cut(
    samples: NDArray[np.float32],
    rate: int,
    config: FrontEndConfig,
    source: str | os.PathLike[str],
) -> list[Tensor]:
    """Mono samples (n,) at any rate to clips; ``source`` begins the error's line."""
    if np.abs(samples).max() < SILENCE:
        raise AudioError(f"{source} is silent: there is nothing to label.")
    waveform = resample(torch.from_numpy(samples), rate, config.sample_rate)
    pieces = list(waveform.split(config.clip_samples))
    if len(pieces) > 1 and not _fills_a_frame(len(pieces[-1]), config):
        pieces.pop()
    return [_as_clip(piece, config, source) for piece in pieces]


def _fills_a_frame(rest: int, config: FrontEndConfig) -> bool:
    """Whether the samples after the last whole clip give a frame of their own."""
    framed = config.padding == "audio" or config.frames_of(rest) > 0
    return framed and rest >= config.hop_length


def _as_clip(waveform: Tensor, config: FrontEndConfig, source: str | os.PathLike[str]) -> Tensor:
    """A waveform (n,) at the front end's rate as one clip, cropped and centred."""
    clip = waveform[: config.clip_samples]
    if config.kind == "kaldi_fbank":
        clip = clip - clip.mean()
    if config.padding != "audio" and config.frames_of(len(clip)) < 1:
        raise AudioError(
            f"{source} gives {len(clip)} samples at {config.sample_rate} Hz, less than one "
            f"window of {config.win_length}: there is no frame to hear. Take it out or record it "
            "again."
        )
    return clip
