"""Colouring a batch of clips with impulse responses."""

from __future__ import annotations

import torch
from torch import Tensor


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
