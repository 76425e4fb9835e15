"""Bringing waveforms and features to a wanted length: zeros at the end, or the end cut off."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def fit_samples(waveform: Tensor, samples: int) -> Tensor:
    """Crop or zero-pad a waveform at its end.

    Shape:
        (..., n) to (..., samples).
    """
    return _fit(waveform, samples)


def fit_frames(features: Tensor, n_frames: int) -> Tensor:
    """Crop or zero-pad features at their end, as AuM and SSAMBA do *before* normalising.

    A frame of padding is 0, so it becomes ``-mean / scale`` once normalised and not the log floor
    that a padded waveform would give.

    Shape:
        (..., n_mels, n) to (..., n_mels, n_frames).

    Source: AuM ``src/dataloader.py``.
    """
    return _fit(features, n_frames)


def _fit(x: Tensor, length: int) -> Tensor:
    missing = length - x.shape[-1]
    return F.pad(x, (0, missing)) if missing > 0 else x[..., :length]
