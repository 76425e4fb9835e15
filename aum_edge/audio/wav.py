"""Writing PCM WAV files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from aum_edge.core.files import new_file
from aum_edge.errors import AudioError

SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}


def write_wav(
    path: str | os.PathLike[str], samples: NDArray[np.floating], sample_rate: int, bits: int = 24
) -> None:
    """Write a PCM WAV file in one step; values outside [-1, 1] are clipped.

    Args:
        path: File to write; its folder is made.
        samples: (n,) or (n, channels).
        sample_rate: Hz.
        bits: 16, 24 or 32 per sample.

    Raises:
        AudioError: If the samples are not such an array or not finite, the rate is not positive
            or ``bits`` is none of those.
        OSError: If the system refuses to write; nothing is left behind.
    """
    path = Path(path)
    if bits not in SUBTYPES:
        raise AudioError(f"A WAV file has 16, 24 or 32 bits per sample, got {bits}.")
    if sample_rate < 1:
        raise AudioError(f"The sample rate of {path} must be at least 1 Hz, got {sample_rate}.")
    if samples.dtype.kind != "f" or samples.ndim not in (1, 2) or not samples.size:
        raise AudioError(
            f"{path} needs floating samples (n,) or (n, channels), "
            f"got {samples.dtype} {samples.shape}."
        )
    if not np.isfinite(samples).all():
        raise AudioError(f"{path} needs finite samples, got NaN or infinity.")
    samples = samples.astype(np.float64)
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, sample_rate, subtype=SUBTYPES[bits], format="WAV")
    # Without a wait for the disk: corpora are many clips, and easily made again.
    with new_file(path, sync=False) as draft:
        draft.write_bytes(encoded.getbuffer())
