"""Impulse responses of recording devices: from a folder, or made up from a fixed seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample
from aum_edge.errors import DataError

MADE_UP = 64
TAPS = 512
SEED = 20221


def device_responses(sample_rate: int, folder: str = "") -> Tensor:
    """Responses (devices, taps) at ``sample_rate``, each with unit energy.

    Raises:
        DataError: If the folder holds no audio.
        AudioError: If one of its files cannot be read.
    """
    if not folder:
        rng = np.random.default_rng(SEED)
        rows = np.stack([_made_up(rng, sample_rate) for _ in range(MADE_UP)])
        return _unit_energy(torch.from_numpy(rows).float())
    files = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in (".wav", ".flac"))
    if not files:
        raise DataError(f"{folder} holds no .wav or .flac impulse responses; check `ir_dir`.")
    waves = []
    for path in files:
        samples, rate = read_audio(path)
        waves.append(resample(torch.from_numpy(samples), rate, sample_rate))
    longest = max(len(wave) for wave in waves)
    padded = [torch.nn.functional.pad(wave, (0, longest - len(wave))) for wave in waves]
    return _unit_energy(torch.stack(padded))


def _made_up(rng: np.random.Generator, sample_rate: int) -> NDArray[np.float64]:
    """A minimum-phase filter: band limits, a tilt and a few resonances, as small devices have."""
    hertz = np.fft.rfftfreq(2 * TAPS, 1 / sample_rate)
    octave = np.log2(np.maximum(hertz, 20) / 1000)
    gain = rng.normal(0, 1.5) * octave
    for _ in range(rng.integers(2, 6)):
        centre, width = rng.uniform(-4, 3.5), rng.uniform(0.1, 0.8)
        gain = gain + rng.normal(0, 6) * np.exp(-0.5 * ((octave - centre) / width) ** 2)
    low, high = np.log2(rng.uniform(40, 300) / 1000), np.log2(rng.uniform(6000, 16000) / 1000)
    gain = gain - 12 * np.maximum(0, low - octave) - 12 * np.maximum(0, octave - high)
    return _minimum_phase(np.clip(gain, -60, 24))


def _minimum_phase(decibel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The causal filter of this magnitude, by folding the real cepstrum."""
    cepstrum = np.fft.irfft(decibel * np.log(10) / 20)
    size = len(cepstrum)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    response: NDArray[np.float64] = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[:TAPS]
    return response


def _unit_energy(rows: Tensor) -> Tensor:
    return rows / rows.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-9)
