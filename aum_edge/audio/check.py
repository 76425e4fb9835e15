"""What is wrong with one audio file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aum_edge.audio.io import read_audio
from aum_edge.errors import AudioError

SILENT_PEAK = 1e-4
CLIPPED_SHARE = 0.01
SHORTEST = 0.05
"""Seconds."""


def check_audio(path: str | Path) -> list[str]:
    """Problems of a file, worst first; empty when it is fine.

    A file that cannot be used gives one entry starting with ``unreadable``; silent, clipped,
    constant and very short files are usable and named.
    """
    try:
        samples, rate = read_audio(path)
    except AudioError as error:
        return [f"unreadable: {error}"]
    problems = []
    peak = float(np.abs(samples).max())
    if peak < SILENT_PEAK:
        problems.append(f"silent: peak {peak:.1e}")
    if len(samples) < SHORTEST * rate:
        problems.append(f"too short: {len(samples) / rate:.3f} s")
    clipped = float((np.abs(samples) >= 0.999 * max(1.0, peak)).mean())
    if clipped > CLIPPED_SHARE:
        problems.append(f"clipped: {100 * clipped:.1f} % of the samples")
    offset = float(samples.mean())
    if peak >= SILENT_PEAK and abs(offset) > 0.5 * peak:
        problems.append(f"offset: mean {offset:.3f} of peak {peak:.3f}")
    return problems
