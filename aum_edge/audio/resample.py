"""Sample-rate conversion with a windowed sinc, equal to torchaudio's default."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.errors import AudioError

ZERO_CROSSINGS = 6
ROLLOFF = 0.99
"""Cut-off as a share of the lower Nyquist frequency."""
_DENSE_LIMIT = 1 << 21
"""Largest kernel bank, in weights, that is kept; rates with no common divisor exceed it."""
_GATHER_LIMIT = 1 << 22


def resample(waveform: Tensor, old_rate: int, new_rate: int) -> Tensor:
    """Convert the sample rate.

    Each new sample is the sum of the old ones around it, weighted by a Hann-windowed sinc
    (six zero crossings, cut-off 0.99 of the lower Nyquist frequency); outside the waveform there
    is silence.

    Args:
        waveform: Real samples; integers are converted to float32 without scaling.
        old_rate: Hz.
        new_rate: Hz.

    Shape:
        (..., samples) to (..., ceil(samples * new_rate / old_rate)).

    Cost: about 13 * max(1, old_rate / new_rate) useful MACs per new sample. Kernels are cached by
    the pair of rates.

    Raises:
        AudioError: If a rate is below 1 Hz.

    Reference: J. O. Smith, Digital Audio Resampling; the constants are those of
    ``torchaudio.transforms.Resample``. julius scales each kernel to a sum of one, which differs.
    """
    if old_rate < 1 or new_rate < 1:
        raise AudioError(f"Sample rates must be at least 1 Hz, got {old_rate} and {new_rate}.")
    if waveform.dtype not in (torch.float32, torch.float64):
        waveform = waveform.float()
    if old_rate == new_rate or waveform.shape[-1] == 0:
        return waveform
    divisor = math.gcd(old_rate, new_rate)
    old, new = old_rate // divisor, new_rate // divisor
    samples = waveform.shape[-1]
    length = -(-samples * new // old)
    flat = waveform.reshape(-1, samples)
    if has_bank(old, new):
        out = _by_convolution(flat, old, new)
    else:
        out = _by_position(flat, old, new, length)
    return out[:, :length].reshape(*waveform.shape[:-1], length)


def half_width(old: int, new: int) -> int:
    """Half the kernel's width: old samples on either side of a new one that have weights."""
    return math.ceil(ZERO_CROSSINGS * old / (min(old, new) * ROLLOFF))


def has_bank(old: int, new: int) -> bool:
    """Whether the kernels of all phases are few enough to be kept."""
    return new * (2 * half_width(old, new) + old) <= _DENSE_LIMIT


def kernels(old: int, new: int) -> Tensor:
    """Float32 kernels (new, 2 * half_width + old) of all phases."""
    return _bank(old, new, torch.float32, torch.device("cpu"))[:, 0]


def _weights(offset: Tensor, old: int, new: int) -> Tensor:
    """Kernel at ``offset`` old samples from its centre, in float64."""
    scale = min(old, new) * ROLLOFF / old
    t = (offset * scale).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    return torch.sinc(t) * torch.cos(t * (math.pi / (2 * ZERO_CROSSINGS))).square() * scale


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # A kernel born in inference mode could not serve a gradient later.
def _bank(old: int, new: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One kernel (new, 1, taps) for each of the ``new`` phases."""
    side = half_width(old, new)
    taps = torch.arange(-side, side + old, dtype=torch.float64)
    # torchaudio rounds this quotient to float32, which moves its output by up to 2e-5.
    phase = (torch.arange(new) / new).double()[:, None] * old
    return _weights(taps - phase, old, new).unsqueeze(1).to(device, dtype)


def _by_convolution(waveform: Tensor, old: int, new: int) -> Tensor:
    """All phases at once: every ``old`` samples give ``new`` ones."""
    side = half_width(old, new)
    padded = F.pad(waveform, (side, side + old)).unsqueeze(1)
    bank = _bank(old, new, waveform.dtype, waveform.device)
    return F.conv1d(padded, bank, stride=old).transpose(1, 2).flatten(1)


def _by_position(waveform: Tensor, old: int, new: int, length: int) -> Tensor:
    """Kernels made for one new sample after the other, where a bank of all phases would be huge."""
    side = half_width(old, new)
    windows = F.pad(waveform, (side, side + 1)).unfold(-1, 2 * side + 2, 1)
    taps = torch.arange(-side, side + 2, dtype=torch.float64, device=waveform.device)
    step = max(1, _GATHER_LIMIT // (len(waveform) * len(taps)))
    pieces = []
    for first in range(0, length, step):
        ticks = torch.arange(first, min(length, first + step), device=waveform.device) * old
        phase = (ticks % new).double() / new
        weights = _weights(taps - phase[:, None], old, new).to(waveform.dtype)
        pieces.append((windows[:, ticks // new] * weights).sum(-1))
    return torch.cat(pieces, dim=-1)


class PhaseGroups:
    """The kernels of ``resample``, a few neighbouring phases to one small matrix product.

    A new sample takes some 20 old ones. The convolution over a period of both rates, which
    suits long clips, multiplies all the others (441 of them from 44.1 to 32 kHz) by zero; here the
    phases of a group share one window that is about twice as long as a kernel.

    Args:
        old: Old rate over the greatest common divisor of both, in samples a period.
        new: New rate likewise.
    """

    def __init__(self, old: int, new: int) -> None:
        side = half_width(old, new)
        self._old, self._new = old, new
        size = min(new, max(1, round(2 * side * new / old)))
        firsts = [group * size * old // new - side for group in range(-(-new // size))]
        width = (size - 1) * old // new + 2 * side + 3
        bank = F.pad(kernels(old, new), (0, width))
        weights = torch.zeros(len(firsts), width, size)
        for group, first in enumerate(firsts):
            rows = bank[group * size : (group + 1) * size, first + side : first + side + width]
            weights[group, :, : len(rows)] = rows.T
        self._weights = weights
        self._taps = torch.tensor(firsts)[:, None, None] + torch.arange(width)

    def __call__(self, samples: Tensor, first: int, periods: int) -> Tensor:
        """New samples (periods * new,) of the whole periods that begin at ``samples[first]``.

        At least ``half_width + 1`` old samples stand before the first period and after the last.
        """
        starts = first + self._old * torch.arange(periods)[None, :, None]
        # The longest window may reach past the end, where its weights are zero.
        at = (self._taps + starts).clamp_(max=len(samples) - 1)
        groups = torch.bmm(samples[at], self._weights)
        return groups.transpose(0, 1).reshape(periods, -1)[:, : self._new].reshape(-1)
