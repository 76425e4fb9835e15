"""Impulse responses of recording devices: made from a seed, or read from a folder."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Generator, Tensor

from aum_edge.audio.clip import fit_samples
from aum_edge.audio.io import read_audio
from aum_edge.audio.resample import resample
from aum_edge.errors import AudioError

DEVICE_SECONDS = 0.02
LONGEST_SECONDS = 0.5
LEAD_SECONDS = 0.001
SUFFIXES = (".wav", ".flac", ".ogg", ".aif", ".aiff")


def device_responses(sample_rate: int, count: int, seed: int) -> Tensor:
    """Synthetic impulse responses of small microphones, the same for the same arguments.

    Each is the minimum-phase filter of a response drawn at random: a low cut at 40 to 400 Hz and
    a high cut at 4 to 16 kHz, of 6 to 24 dB per octave, two to five resonances or notches of up
    to 10 dB, and a tilt. Minimum phase means that no clip is delayed; unit energy, that loudness
    stays about what it was.

    Args:
        sample_rate: Hz.
        count: How many devices.
        seed: Of the draws.

    Returns:
        (count, taps) float32, 20 ms each.

    Reference: the cepstral construction of Oppenheim & Schafer, Discrete-Time Signal Processing.
    """
    draws = torch.Generator().manual_seed(seed)
    taps = max(8, round(DEVICE_SECONDS * sample_rate))
    n_fft = 4 << (taps - 1).bit_length()
    hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * (sample_rate / n_fft)
    gains = torch.stack([_device_db(hz.clamp(min=1.0), draws) for _ in range(count)])
    responses = _minimum_phase(gains.clamp(min=-80) * (math.log(10) / 20), n_fft)[:, :taps]
    fade = torch.linspace(0, math.pi / 2, taps, dtype=torch.float64).cos().square()
    return _unit_energy(responses * fade).float()


def folder_responses(folder: str | Path, sample_rate: int) -> Tensor:
    """All recorded impulse responses below a folder, resampled, aligned and of unit energy.

    The silence before a response is cut to 1 ms ahead of its peak, so that clips are coloured and
    not moved; anything after half a second is left out.

    Returns:
        (count, taps) float32 in the order of their paths, shorter ones zero-padded.

    Raises:
        AudioError: If the folder holds no audio file, or one is unreadable or silent.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise AudioError(
            f"No impulse responses in {folder}: give a folder with WAV files, or none to use "
            "the built-in devices."
        )
    responses = [_recorded(path, sample_rate) for path in paths]
    taps = max(len(response) for response in responses)
    return torch.stack([fit_samples(response, taps) for response in responses])


def _recorded(path: Path, sample_rate: int) -> Tensor:
    samples, rate = read_audio(path)
    response = resample(torch.from_numpy(samples), rate, sample_rate)
    if not response.any():
        raise AudioError(f"The impulse response {path} is silent: remove it.")
    first = max(0, int(response.abs().argmax()) - round(LEAD_SECONDS * sample_rate))
    return _unit_energy(response[first : first + round(LONGEST_SECONDS * sample_rate)])


def _device_db(hz: Tensor, draws: Generator) -> Tensor:
    """Gain in dB at each frequency of one device."""
    low = _log_uniform(40, 400, draws)
    high = _log_uniform(4_000, 16_000, draws)
    db = -10 * torch.log10(1 + (low / hz) ** _uniform(2, 8, draws))
    db -= 10 * torch.log10(1 + (hz / high) ** _uniform(2, 8, draws))
    db += _uniform(-1.5, 1.5, draws) * torch.log2(hz / 1000)
    for _ in range(int(_uniform(2, 6, draws))):
        centre = _log_uniform(200, 9_000, draws)
        octaves = _uniform(0.15, 0.8, draws)
        peak = _uniform(-10, 10, draws)
        db += peak * torch.exp(-0.5 * (torch.log2(hz / centre) / octaves) ** 2)
    return db


def _minimum_phase(log_gain: Tensor, n_fft: int) -> Tensor:
    """Impulse responses (n, n_fft) with these natural-log gains (n, n_fft // 2 + 1)."""
    cepstrum = torch.fft.irfft(log_gain, n_fft)
    cepstrum[:, 1 : n_fft // 2] *= 2
    cepstrum[:, n_fft // 2 + 1 :] = 0
    return torch.fft.irfft(torch.exp(torch.fft.rfft(cepstrum)), n_fft)


def _unit_energy(response: Tensor) -> Tensor:
    return response / response.norm(dim=-1, keepdim=True)


def _uniform(low: float, high: float, draws: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=draws, dtype=torch.float64))


def _log_uniform(low: float, high: float, draws: Generator) -> float:
    return math.exp(_uniform(math.log(low), math.log(high), draws))


def convolve(waveform: Tensor, responses: Tensor) -> Tensor:
    """Convolve each row with its own response and keep the row's length.

    Args:
        waveform: One clip a row.
        responses: The impulse response of each clip.

    Shape:
        waveform: (B, samples); responses: (B, taps). Returns (B, samples).

    Cost: three FFTs of the next power of two above ``samples + taps`` a row.
    """
    samples = waveform.shape[1]
    n_fft = 1 << (samples + responses.shape[1] - 2).bit_length()
    spectrum = torch.fft.rfft(waveform, n_fft) * torch.fft.rfft(responses, n_fft)
    return torch.fft.irfft(spectrum, n_fft)[:, :samples]
