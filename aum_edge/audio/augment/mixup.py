"""Mixup of two waveforms, as AuM trains with, alone and in whole batches."""

from __future__ import annotations

import torch
from torch import Tensor

from aum_edge.audio.clip import fit_samples
from aum_edge.errors import AudioError


def waveform_mixup(first: Tensor, second: Tensor, lam: float) -> Tensor:
    """``lam`` parts of one waveform and ``1 - lam`` of another.

    Each has its mean over channels and samples taken off, the second is cropped or zero-padded
    to the first, and the mix has its mean taken off once more.

    Args:
        first: Its length is kept.
        second: At the same rate, with as many channels.
        lam: Share of ``first``, 0 to 1; AuM draws it from Beta(10, 10).

    Shape:
        (channels, samples) or (samples,) each; the result is as ``first``.

    Raises:
        AudioError: If the channels differ or ``lam`` is no share.

    Source: AuM ``src/dataloader.py``.
    """
    if not 0 <= lam <= 1:
        raise AudioError(f"Mixup needs a share from 0 to 1, got {lam}.")
    if first.shape[:-1] != second.shape[:-1]:
        raise AudioError(
            f"Mixup needs waveforms with the same channels, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}: mix them down first."
        )
    second = fit_samples(second - second.mean(), first.shape[-1])
    mix = lam * (first - first.mean()) + (1 - lam) * second
    return mix - mix.mean()


def mixup_targets(first: Tensor, second: Tensor, lam: float) -> Tensor:
    """Multi-hot targets (C,) of a mix; a class that both have gets the sum of the shares."""
    return lam * first + (1 - lam) * second


def mix_centred(x: Tensor, lengths: Tensor | None, partner: Tensor, lam: Tensor) -> Tensor:
    """What :func:`waveform_mixup` does, for whole batches; a row whose share is 1 stays as it is.

    Shape:
        x: (B, samples), zero beyond ``lengths`` (B,); partner, lam: (B,). Returns as ``x``.
    """
    n = x.shape[1]
    lengths = torch.full((len(x),), n) if lengths is None else lengths
    own = (torch.arange(n) < lengths[:, None].cpu()).to(x)

    def centre(wave: Tensor) -> Tensor:
        return (wave - (wave * own).sum(1, keepdim=True) / own.sum(1, keepdim=True)) * own

    centred, share = centre(x), lam[:, None]
    mixed = centre(share * centred + (1 - share) * centred[partner] * own)
    return torch.where(share == 1, x, mixed)
