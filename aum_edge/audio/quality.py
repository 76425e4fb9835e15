"""Quality checks of one audio file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aum_edge.audio.io import Samples, blocks, open_sound
from aum_edge.errors import AudioError

SILENT_DB = -60.0
CLIPPED_SHARE = 1e-3
CLIP_LEVEL = 0.999
OFFSET = 0.05
LOW_RATE = 8_000
SHORT_SECONDS = 0.1
CANCELLED_DB = -20.0


@dataclass
class _Tally:
    """Sums over all samples seen so far."""

    channels: int
    samples: int = 0
    not_finite: int = 0
    clipped: int = 0
    peaks: NDArray[np.float64] = field(init=False)
    total: NDArray[np.float64] = field(init=False)
    energy: NDArray[np.float64] = field(init=False)
    mono_energy: float = 0.0

    def __post_init__(self) -> None:
        self.peaks, self.total, self.energy = np.zeros((3, self.channels))

    def add(self, block: Samples) -> None:
        finite = np.isfinite(block)
        self.not_finite += int(block.size - finite.sum())
        block = np.where(finite, block, np.float32(0))
        level = np.abs(block)
        # Float files may pass full scale without being clipped; a flat top is the sign.
        flat = (level[1:] >= CLIP_LEVEL) & (block[1:] == block[:-1])
        mono = block.mean(axis=1)
        self.samples += len(block)
        self.clipped += int(flat.any(axis=1).sum())
        self.peaks = np.maximum(self.peaks, level.max(axis=0))
        self.total += block.sum(axis=0, dtype=np.float64)
        self.energy += np.square(block, dtype=np.float64).sum(axis=0)
        self.mono_energy += float(np.square(mono, dtype=np.float64).sum())


def check_audio(path: str | os.PathLike[str]) -> list[str]:
    """The problems of one audio file, one line each; an empty list when there are none.

    Unreadable, empty or cut short (one line that starts with ``unreadable:``); NaN or infinite
    samples; silent (peak below -60 dB of full scale); clipped (over 0.1 % of its time on a flat
    top at full scale); a constant offset; a dead channel, or channels that cancel when mixed;
    below 8 kHz; shorter than 0.1 s.

    Cost: decodes the whole file in pieces; memory does not grow with its length.
    """
    path = Path(path)
    try:
        with open_sound(path) as sound:
            tally = _Tally(sound.channels)
            rate: int = sound.samplerate
            for block in blocks(sound, path):
                tally.add(block)
    except AudioError as error:
        return [f"unreadable: {error}"]
    return _container_problems(tally, rate) + _signal_problems(tally)


def _container_problems(tally: _Tally, rate: int) -> list[str]:
    problems = []
    if rate < LOW_RATE:
        problems.append(f"low sample rate: {rate} Hz, most of the spectrum is missing")
    if tally.samples < SHORT_SECONDS * rate:
        problems.append(f"very short: {tally.samples} samples, {tally.samples / rate:.3f} s")
    if tally.not_finite:
        problems.append(f"NaN or infinite: {tally.not_finite} samples")
    return problems


def _signal_problems(tally: _Tally) -> list[str]:
    problems: list[str] = []
    level = 10 ** (SILENT_DB / 20)
    dead = int((tally.peaks < level).sum())
    if dead == tally.channels:
        peak = float(tally.peaks.max())
        level_said = f"peak {20 * np.log10(peak):.0f} dB of full scale" if peak else "all zeros"
        return [f"silent: {level_said}"]
    if dead:
        problems.append(f"dead channel: {dead} of {tally.channels} are silent")
    cancelled = tally.mono_energy < tally.energy.mean() * 10 ** (CANCELLED_DB / 10)
    if tally.channels > 1 and not dead and cancelled:
        problems.append("channels cancel: they are in opposite phase, mixed down little is left")
    if tally.clipped > CLIPPED_SHARE * tally.samples:
        problems.append(f"clipped: {100 * tally.clipped / tally.samples:.1f} % of its time")
    offset = float(np.abs(tally.total / tally.samples).max())
    if offset > OFFSET:
        problems.append(f"constant offset: {offset:.2f} of full scale")
    return problems
