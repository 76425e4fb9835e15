"""Sample-rate conversion by a windowed sinc, as torchaudio's default does it.

Written here because torchaudio does not import beside a CPU-only torch, and the other libraries
differ from it by more than the parity tests allow. Reference: Smith, Digital Audio Resampling.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.errors import AudioError

ZEROS = 6
"""Zero crossings of the sinc on each side."""
ROLLOFF = 0.99
"""Cut-off as a share of the lower Nyquist frequency."""


def resample(waveform: Tensor, old_rate: int, new_rate: int) -> Tensor:
    """Convert (..., samples) from ``old_rate`` to ``new_rate``.

    Returns (..., ceil(samples * new_rate / old_rate)) in the input's float type.

    Raises:
        AudioError: If a rate is below 1.
    """
    if min(old_rate, new_rate) < 1:
        raise AudioError(f"Sample rates must be at least 1 Hz, got {old_rate} and {new_rate}.")
    if old_rate == new_rate:
        return waveform
    divisor = math.gcd(old_rate, new_rate)
    old, new = old_rate // divisor, new_rate // divisor
    kernels, width = _kernels(old, new)
    length = waveform.shape[-1]
    rows = F.pad(waveform.reshape(-1, 1, length), (width, width + old))
    phases = F.conv1d(rows, kernels.to(waveform), stride=old)
    wanted = math.ceil(new * length / old)
    return phases.transpose(1, 2).flatten(1)[:, :wanted].reshape(*waveform.shape[:-1], wanted)


@lru_cache(maxsize=32)
def _kernels(old: int, new: int) -> tuple[Tensor, int]:
    """One filter for each output phase (new, 1, taps), and how far they reach to the left."""
    cutoff = min(old, new) * ROLLOFF
    width = math.ceil(ZEROS * old / cutoff)
    taps = torch.arange(-width, width + old, dtype=torch.float64) / old
    # Single precision on purpose: torchaudio rounds the phases so, and its numbers are the oracle.
    phase = torch.arange(0, -new, -1) / new
    t = ((phase[:, None] + taps) * cutoff).clamp(-ZEROS, ZEROS)
    window = torch.cos(t * math.pi / (2 * ZEROS)) ** 2
    return (torch.sinc(t) * window * cutoff / old).unsqueeze(1), width
