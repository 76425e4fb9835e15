"""Reading audio files by libsndfile: WAV, FLAC, Ogg, MP3, AIFF and its other formats."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from aum_edge.audio.containers import is_truncated, ogg_end
from aum_edge.errors import AudioError

Samples = NDArray[np.float32]
BLOCK = 1 << 18
"""Sample times decoded at once, so that long multi-channel files need little memory."""
_UNKNOWN_LENGTH = 1 << 48
"""A FLAC written to a pipe states none; libsndfile then reports a number above this."""
_MP3_SLACK = 2304
"""Two frames: an MP3 states its length to the frame only."""
_MALFORMED = 7
"""libsndfile's "not a regular file", which it also says of a damaged MP3."""
_ADVICE = "give a whole WAV, FLAC, Ogg, MP3 or AIFF file."


@dataclass(frozen=True)
class AudioInfo:
    """Header of an audio file."""

    sample_rate: int
    """Hz."""
    channels: int
    samples: int
    """Per channel."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate


def audio_info(path: str | os.PathLike[str]) -> AudioInfo:
    """Rate, channels and length of an audio file.

    Cost: reads the header, and the last page of an Ogg file.

    Raises:
        AudioError: If the file is missing, no audio, empty or cut short.
    """
    path = Path(path)
    with open_sound(path) as sound:
        return AudioInfo(sound.samplerate, sound.channels, sound.frames)


def read_audio(
    path: str | os.PathLike[str],
    start: float | None = None,
    end: float | None = None,
    channels: Literal["mean", "first"] = "mean",
) -> tuple[Samples, int]:
    """Decode an audio file to mono.

    Integer samples are scaled to [-1, 1); float samples are taken as they are, also above 1.

    Args:
        path: File in any format of libsndfile.
        start: First second to read; ``None`` is the beginning.
        end: Second to stop at; ``None``, or beyond the file, is its end.
        channels: What becomes of several channels: their mean, or the first alone.

    Returns:
        Samples (n,) in float32 and their rate in Hz.

    Cost: seeks to ``start`` and decodes up to ``end`` alone where the format can seek.

    Raises:
        AudioError: If the file is missing, a folder, no audio, empty or cut short, if it holds
            NaN or infinity, or if ``start`` is not inside it or not before ``end``.
    """
    path = Path(path)
    with open_sound(path) as sound:
        rate: int = sound.samplerate
        first, stop = _span(sound, path, start, end)
        pieces = blocks(sound, path, first, stop)
        mono = [to_mono(piece, channels) for piece in pieces]
    samples = np.concatenate(mono) if len(mono) > 1 else mono[0]
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} holds NaN or infinite samples: export it again.")
    return samples, rate


def to_mono(samples: Samples, channels: Literal["mean", "first"]) -> Samples:
    """Samples (n, channels) to (n,): the mean of the channels, or the first alone."""
    mono: Samples = samples[:, 0].copy() if channels == "first" else samples.mean(axis=1)
    return mono


@contextlib.contextmanager
def open_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """An open audio file with at least one sample, and decoder errors as AudioError.

    Raises:
        AudioError: If the file is missing, a folder, no audio, empty or cut short.
    """
    _require_file(path)
    try:
        with _decoder(path) as sound:
            missing = is_truncated(path, sound.extra_info)
            if missing:
                raise AudioError(f"{path} is cut short: {missing}. Copy or record it again.")
            if not sound.frames:
                raise AudioError(f"{path} has 0 samples: remove it or record it again.")
            if sound.frames >= _UNKNOWN_LENGTH:
                raise AudioError(f"{path} does not state its length: encode it again to a file.")
            yield sound
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} cannot be decoded ({_reason(error)}): {_ADVICE}") from error


def _decoder(path: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(path)
    except TypeError as error:
        # soundfile takes `.raw` for headerless samples and asks for their format this way.
        raise AudioError(f"{path} has no header ({error}): {_ADVICE}") from error


def blocks(
    sound: soundfile.SoundFile, path: Path, first: int = 0, stop: int | None = None
) -> Iterator[Samples]:
    """Decoded pieces (n, channels) of an open file, samples ``first`` up to ``stop``.

    Raises:
        AudioError: If decoding ends before ``stop``, or before the length that the header states.
    """
    last = stop if stop is not None else sound.frames
    if first:
        _go_to(sound, path, first)
    at = first
    while at < last:
        try:
            block = sound.read(min(BLOCK, last - at), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{path} is cut short or damaged: it cannot be decoded beyond sample {at} of "
                f"{sound.frames} ({_reason(error)}). Copy or record it again."
            ) from error
        if not len(block):
            break
        at += len(block)
        yield block
    slack = _MP3_SLACK if sound.format in ("MP3", "MPEG") else 0
    if at + slack < last or at == first:
        raise AudioError(
            f"{path} is cut short: its header promises {sound.frames} samples and decoding ends "
            f"after {at}. Copy or record it again."
        )


def _require_file(path: Path) -> None:
    try:
        if path.is_file():
            if not os.access(path, os.R_OK):
                raise AudioError(f"{path} may not be read: change its permissions.")
            if not path.stat().st_size:
                raise AudioError(f"{path} has 0 bytes: remove it or record it again.")
            return
        kind = "is a folder" if path.is_dir() else "is no regular file"
        found = path.exists()
    except (OSError, ValueError) as error:
        raise AudioError(f"{path!s:.200} is no usable file name ({error}).") from error
    if not found:
        raise AudioError(f"{path} does not exist: check the name and the folder.")
    raise AudioError(f"{path} {kind}: give one audio file.")


def _span(
    sound: soundfile.SoundFile, path: Path, start: float | None, end: float | None
) -> tuple[int, int | None]:
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise AudioError(f"`{name}` of {path} must be a second from 0 on, got {value}.")
    if start is not None and end is not None and end <= start:
        raise AudioError(f"`end` of {path} must be after `start` {start:g} s, got {end:g} s.")
    rate = sound.samplerate
    first = round((start or 0.0) * rate)
    if first >= sound.frames:
        raise AudioError(
            f"`start` {start:g} s is not inside {path}, which is {sound.frames / rate:g} s long."
        )
    if end is None:
        return first, None
    # A span shorter than one sample still is one sample: there is sound at that time.
    return first, min(sound.frames, max(first + 1, round(end * rate)))


def _go_to(sound: soundfile.SoundFile, path: Path, first: int) -> None:
    target = first if sound.seekable() else 0
    if sound.subtype == "VORBIS":
        # libsndfile 1.2 may land some samples off on the last page, whose length is trimmed:
        # go to the page before and decode from there.
        end = ogg_end(path)
        target = min(target, max(0, end.last_start - 1) if end else 0)
    if target:
        sound.seek(target)
    _skip(sound, first - target)


def _skip(sound: soundfile.SoundFile, samples: int) -> None:
    while samples > 0:
        got = len(sound.read(min(BLOCK, samples), dtype="float32", always_2d=True))
        if not got:
            return
        samples -= got


def _reason(error: soundfile.LibsndfileError) -> str:
    if error.code == _MALFORMED:
        return "malformed"
    return error.error_string.rstrip(". ")
