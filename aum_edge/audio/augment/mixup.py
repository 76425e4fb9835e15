"""Mixup of a batch: of features and targets by rows, of waveforms as AuM does it."""

from __future__ import annotations

import torch
from torch import Tensor


def mix_rows(rows: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
    """Mixup of rows (B, ...) with those of ``partner`` (B,): ``lam * row + (1 - lam) * other``.

    Source: Zhang et al., arXiv 1710.09412.
    """
    weight = lam.to(rows).view(-1, *[1] * (rows.ndim - 1))
    return weight * rows + (1 - weight) * rows[partner]


def mix_centred(x: Tensor, lengths: Tensor | None, partner: Tensor, lam: Tensor) -> Tensor:
    """Waveform mixup of a batch; a row whose share ``lam`` is 1 stays as it is.

    Both lose their mean, the partner is cropped or zero-padded to the clip, the mix loses its mean.
    Source: AuM ``src/dataloader.py``.

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
