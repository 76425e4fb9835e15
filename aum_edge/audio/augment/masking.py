"""Blanked bands and frames: frequency and time masks."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def mask(x: Tensor, dim: int, most: int, fill: Tensor, generator: Generator) -> Tensor:
    """Blank 0 to ``most`` neighbouring rows of ``dim`` in each clip (B, 1, F, T) with ``fill``."""
    if not most:
        return x
    width = torch.randint(0, most + 1, (len(x),), generator=generator)
    room = x.shape[dim] - width + 1
    first = (torch.rand(len(x), generator=generator) * room).long()
    return _blank(x, dim, first, width, fill)


def specaugment_mask(x: Tensor, dim: int, most: int, fill: Tensor, generator: Generator) -> Tensor:
    """As :func:`mask`, with the draws of ``torchaudio.transforms.FrequencyMasking``.

    A width is drawn from [0, ``most``) and a start so that it fits; both are rounded down.
    """
    if not most:
        return x
    width = torch.rand(len(x), generator=generator) * most
    first = torch.rand(len(x), generator=generator) * (x.shape[dim] - width)
    return _blank(x, dim, first.long(), width.long(), fill)


def _blank(x: Tensor, dim: int, first: Tensor, width: Tensor, fill: Tensor) -> Tensor:
    at = torch.arange(x.shape[dim])
    hidden = (at >= first[:, None]) & (at < (first + width)[:, None])
    hidden = hidden[:, None, :, None] if dim == 2 else hidden[:, None, None, :]
    return torch.where(hidden.to(x.device), fill, x)
