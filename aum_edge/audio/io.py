"""Audio files in and out, by soundfile: WAV, FLAC, OGG, MP3, any rate, any channel count."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from aum_edge.errors import AudioError

SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says."""

    sample_rate: int
    channels: int
    samples: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def audio_info(path: str | Path) -> AudioInfo:
    """Rate, channels and samples of a file, without decoding it.

    Raises:
        AudioError: The file is missing, not audio, or holds no samples.
    """
    _check_file(Path(path))
    try:
        info = sf.info(str(path))
    except (sf.SoundFileError, OSError) as error:
        raise AudioError(f"{path} is not audio that can be read: {_reason(error)}") from error
    if info.frames < 1:
        raise AudioError(f"{path} holds no samples: it may be truncated; record or copy it again.")
    return AudioInfo(info.samplerate, info.channels, info.frames)


def read_audio(
    path: str | Path, start: float | None = None, end: float | None = None
) -> tuple[NDArray[np.float32], int]:
    """Samples (n,) in float32 and their rate; several channels are averaged into one.

    ``start`` and ``end`` in seconds pick a part; only that part is decoded where the format can
    seek. An ``end`` behind the last sample reads up to it.

    Raises:
        AudioError: The file is missing, not audio, empty, holds NaN or Inf, or ends before
            ``start``.
    """
    info = audio_info(path)
    first = round((start or 0.0) * info.sample_rate)
    last = info.samples if end is None else min(info.samples, round(end * info.sample_rate))
    if not 0 <= first < last:
        raise AudioError(
            f"{path} lasts {info.seconds:.3f} s, which leaves nothing between "
            f"{start or 0.0:g} s and {'its end' if end is None else f'{end:g} s'}."
        )
    try:
        samples, rate = sf.read(str(path), start=first, stop=last, dtype="float32", always_2d=True)
    except (sf.SoundFileError, OSError) as error:
        raise AudioError(f"{path} cannot be decoded: {_reason(error)}") from error
    if len(samples) == 0:
        raise AudioError(f"{path} decodes to no samples: it is truncated; copy it again.")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} holds NaN or Inf samples: make the file again.")
    mono: NDArray[np.float32] = samples.mean(axis=1, dtype=np.float32)
    return mono, int(rate)


def write_wav(
    path: str | Path, samples: NDArray[np.floating], sample_rate: int, bits: int = 24
) -> None:
    """Write a mono WAV in one step: 16 or 24 bit integers, or 32 bit float."""
    path = Path(path)
    if bits not in SUBTYPES:
        raise AudioError(f"WAV is written with {sorted(SUBTYPES)} bits, got {bits}.")
    draft = path.with_name(f".{path.name}.tmp")
    try:
        sf.write(str(draft), samples, sample_rate, subtype=SUBTYPES[bits], format="WAV")
        os.replace(draft, path)
    except sf.SoundFileError as error:
        raise AudioError(f"{path} cannot be written: {_reason(error)}") from error
    finally:
        draft.unlink(missing_ok=True)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path} is a folder, an audio file is needed.")
    if not path.exists():
        raise AudioError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is empty (0 bytes): copy or record it again.")


def _reason(error: Exception) -> str:
    """libsndfile's reason without the file name it repeats."""
    return str(error).rpartition(": ")[2] or type(error).__name__
