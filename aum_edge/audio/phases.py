"""Resampling of a stream's pieces with each phase's own taps only."""

from __future__ import annotations

import torch
from torch import Tensor

from aum_edge.audio.resample import kernels, reach


class PhaseGroups:
    """The kernels of ``resample``, a few neighbouring phases to one small matrix product.

    A new sample hears some 20 old ones. The convolution over a whole period of both rates, which
    suits long clips, multiplies all the others (441 of them from 44.1 to 32 kHz) by zero; here the
    phases of a group share one window that is about twice as long as a kernel.

    Args:
        old: Old rate over the greatest common divisor of both, in samples a period.
        new: New rate likewise.
    """

    def __init__(self, old: int, new: int) -> None:
        side = reach(old, new)
        self._old, self._new = old, new
        size = min(new, max(1, round(2 * side * new / old)))
        firsts = [group * size * old // new - side for group in range(-(-new // size))]
        width = (size - 1) * old // new + 2 * side + 3
        bank = torch.nn.functional.pad(kernels(old, new), (0, width))
        weights = torch.zeros(len(firsts), width, size)
        for group, first in enumerate(firsts):
            rows = bank[group * size : (group + 1) * size, first + side : first + side + width]
            weights[group, :, : len(rows)] = rows.T
        self._weights = weights
        self._taps = torch.tensor(firsts)[:, None, None] + torch.arange(width)

    def __call__(self, samples: Tensor, first: int, periods: int) -> Tensor:
        """New samples (periods * new,) of the whole periods that begin at ``samples[first]``.

        There are at least ``reach + 1`` old samples before the first period and after the last.
        """
        starts = first + self._old * torch.arange(periods)[None, :, None]
        # The longest window may reach past the end, where its weights are zero.
        at = (self._taps + starts).clamp_(max=len(samples) - 1)
        groups = torch.bmm(samples[at], self._weights)
        return groups.transpose(0, 1).reshape(periods, -1)[:, : self._new].reshape(-1)
