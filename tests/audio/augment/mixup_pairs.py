"""Waveform mixup of one pair, as AuM's data loader does it: the reference for whole batches."""

from __future__ import annotations

from torch import Tensor

from aum_edge.audio.clip import fit_samples


def waveform_mixup(first: Tensor, second: Tensor, lam: float) -> Tensor:
    """Waveforms (samples,), of which the first keeps its length. Source: AuM src/dataloader.py."""
    second = fit_samples(second - second.mean(), first.shape[-1])
    mix = lam * (first - first.mean()) + (1 - lam) * second
    return mix - mix.mean()


def mixup_targets(first: Tensor, second: Tensor, lam: float) -> Tensor:
    """Multi-hot targets (C,) of a mix; a class that both have gets the sum of the shares."""
    return lam * first + (1 - lam) * second
