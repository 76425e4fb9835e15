"""Waveform to log-mel features: the DCASE baseline's log-mel and Kaldi's filter bank.

One front end serves training, evaluation and deployment, checked against torchaudio's numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig

PREEMPHASIS = 0.97


class FrontEnd(nn.Module):
    """(B, samples) at ``config.sample_rate`` to (B, n_mels, frames), any number of samples.

    Cost of one frame: an FFT of n_fft, and n_fft/2 * n_mels MACs if the sparse filters are
    multiplied in full. Sources: HTK mel scale and torchaudio's MelSpectrogram for ``log_mel``;
    Kaldi's compute-fbank-feats for ``kaldi_fbank``.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: FrontEndConfig) -> None:
        super().__init__()
        self.config = config
        kaldi = config.kind == "kaldi_fbank"
        window = torch.hann_window(config.win_length, periodic=not kaldi, dtype=torch.float64)
        filters = kaldi_filters(config) if kaldi else htk_filters(config)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("filters", filters.float(), persistent=False)

    @torch.no_grad()
    def forward(self, waveform: Tensor) -> Tensor:
        """Extract features."""
        if self.config.kind == "kaldi_fbank":
            return self._kaldi(waveform)
        config = self.config
        spectrum = torch.stft(
            waveform,
            config.n_fft,
            config.hop_length,
            config.win_length,
            self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log(self.filters @ power + config.log_offset)

    def _kaldi(self, waveform: Tensor) -> Tensor:
        """Frames that fit whole; each loses its mean, is pre-emphasised and windowed."""
        config = self.config
        frames = waveform.unfold(-1, config.win_length, config.hop_length)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - PREEMPHASIS * before) * self.window
        spectrum = torch.fft.rfft(frames, n=config.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        energies = self.filters @ power.transpose(-1, -2)
        return torch.log(energies.clamp_min(config.log_offset))


def htk_filters(config: FrontEndConfig) -> Tensor:
    """Triangles (n_mels, n_fft/2 + 1), linear in Hz between points even on the HTK mel scale."""
    bins = torch.linspace(0, config.sample_rate // 2, config.n_fft // 2 + 1, dtype=torch.float64)
    edges = torch.tensor([config.f_min, config.high_frequency], dtype=torch.float64)
    low, high = (2595 * torch.log10(1 + edges / 700)).tolist()
    mels = torch.linspace(low, high, config.n_mels + 2, dtype=torch.float64)
    points = 700 * (10 ** (mels / 2595) - 1)
    return _triangles(points, bins)


def kaldi_filters(config: FrontEndConfig) -> Tensor:
    """Triangles (n_mels, n_fft/2 + 1), linear in mel; the bin at Nyquist is left out."""
    width = config.sample_rate / config.n_fft
    bins = _kaldi_mel(width * torch.arange(config.n_fft // 2, dtype=torch.float64))
    edges = torch.tensor([config.f_min, config.high_frequency], dtype=torch.float64)
    low, high = _kaldi_mel(edges).tolist()
    points = torch.linspace(low, high, config.n_mels + 2, dtype=torch.float64)
    return F.pad(_triangles(points, bins), (0, 1))


def _kaldi_mel(hertz: Tensor) -> Tensor:
    return 1127 * torch.log(1 + hertz / 700)


def _triangles(points: Tensor, bins: Tensor) -> Tensor:
    left, centre, right = (points[i : len(points) - 2 + i, None] for i in range(3))
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0)


def fit_frames(features: Tensor, n_frames: int) -> Tensor:
    """Crop or zero-pad (..., frames) at its end, before normalisation, as AuM does."""
    return F.pad(features[..., :n_frames], (0, max(0, n_frames - features.shape[-1])))
