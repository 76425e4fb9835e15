"""Augmentation of waveforms and features; every draw comes from the generator that is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.impulse import device_responses
from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How training clips are varied; 0 switches a part off."""

    roll_seconds: float = 0.1
    """Clips are rolled in time by up to this much either way."""
    mixstyle_p: float = 0.4
    """Chance that a batch mixes the frequency statistics of its clips."""
    mixstyle_alpha: float = 0.3
    freq_mask: int = 0
    """Largest number of neighbouring mels that are masked."""
    time_mask: int = 0
    """Largest number of neighbouring frames that are masked."""
    mixup_p: float = 0.0
    """Chance that a batch mixes its clips and labels."""
    mixup_alpha: float = 0.3
    ir_p: float = 0.0
    """Chance that a clip passes through another device's impulse response."""
    ir_dir: str = ""
    """Folder of impulse responses; empty takes 64 made-up devices."""

    def __post_init__(self) -> None:
        for name in ("mixstyle_p", "mixup_p", "ir_p"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise RecipeError(f"`{name}` is a chance between 0 and 1, got {value}.")
        for name in ("roll_seconds", "freq_mask", "time_mask"):
            if getattr(self, name) < 0:
                raise RecipeError(f"`{name}` must not be negative, got {getattr(self, name)}.")
        for name in ("mixstyle_alpha", "mixup_alpha"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"`{name}` must be above 0, got {getattr(self, name)}.")


class Augment:
    """The augmentations of one recipe for one front end."""

    def __init__(self, config: AugmentConfig, frontend: FrontEndConfig) -> None:
        self.config = config
        self.frontend = frontend
        self._responses: Tensor | None = None
        if config.ir_p > 0:
            self._responses = device_responses(frontend.sample_rate, config.ir_dir)

    def waveform(self, x: Tensor, generator: Generator) -> Tensor:
        """(B, samples): some clips as another device would have recorded them."""
        if self._responses is None:
            return x
        chosen = torch.rand(len(x), generator=generator) < self.config.ir_p
        which = torch.randint(len(self._responses), (len(x),), generator=generator)
        rows = chosen.nonzero().squeeze(1)
        if len(rows) == 0:
            return x
        size = x.shape[1] + self._responses.shape[1]
        spectrum = torch.fft.rfft(x[rows], n=size)
        device = torch.fft.rfft(self._responses[which[rows]].to(x), n=size)
        out = x.clone()
        out[rows] = torch.fft.irfft(spectrum * device, n=size)[:, : x.shape[1]]
        return out

    def features(self, x: Tensor, generator: Generator) -> Tensor:
        """(B, 1, n_mels, n_frames): rolled, device styles mixed, bands and moments masked."""
        config = self.config
        x = self._roll(x, generator)
        if config.mixstyle_p > 0 and _chance(config.mixstyle_p, generator):
            x = mix_style(x, config.mixstyle_alpha, generator)
        x = mask(x, config.freq_mask, 2, generator)
        return mask(x, config.time_mask, 3, generator)

    def mixup(
        self, x: Tensor, targets: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mix clips and targets; also returns each row's partner and its own share (1: unmixed).

        Source: Zhang et al., arXiv 1710.09412.
        """
        config = self.config
        if config.mixup_p == 0 or not _chance(config.mixup_p, generator):
            return x, targets, torch.arange(len(x)), torch.ones(len(x))
        lam = _beta(config.mixup_alpha, len(x), generator)
        lam = torch.maximum(lam, 1 - lam)
        partner = torch.randperm(len(x), generator=generator)
        share = lam.to(x)
        wide = share.view(-1, *[1] * (x.ndim - 1))
        mixed = wide * x + (1 - wide) * x[partner]
        rows = share.unsqueeze(1) * targets + (1 - share).unsqueeze(1) * targets[partner]
        return mixed, rows, partner, lam

    def _roll(self, x: Tensor, generator: Generator) -> Tensor:
        """Each clip by its own number of frames, what leaves at one end comes back at the other."""
        frames = round(self.config.roll_seconds * self.frontend.sample_rate)
        frames //= self.frontend.hop_length
        if frames == 0:
            return x
        shifts = torch.randint(-frames, frames + 1, (len(x), 1), generator=generator)
        places = (torch.arange(x.shape[3]) - shifts) % x.shape[3]
        index = places.to(x.device)[:, None, None, :].expand_as(x)
        return torch.gather(x, 3, index)


def mix_style(x: Tensor, alpha: float, generator: Generator) -> Tensor:
    """Freq-MixStyle: give each clip a mix of its own and another's level and spread by frequency.

    Shape: (B, 1, n_mels, n_frames). Source: Schmid et al., DCASE 2022 (arXiv 2206.12513), after
    Zhou et al., arXiv 2104.02008.
    """
    mean = x.mean(dim=(1, 3), keepdim=True)
    std = (x.var(dim=(1, 3), keepdim=True) + 1e-6).sqrt()
    share = _beta(alpha, len(x), generator).to(x).view(-1, 1, 1, 1)
    partner = torch.randperm(len(x), generator=generator)
    new_mean = share * mean + (1 - share) * mean[partner]
    new_std = share * std + (1 - share) * std[partner]
    return (x - mean) / std * new_std + new_mean


def mask(x: Tensor, largest: int, axis: int, generator: Generator) -> Tensor:
    """Replace a random run of up to ``largest`` rows of each clip by the batch's mean."""
    size = x.shape[axis]
    largest = min(largest, size - 1)
    if largest <= 0:
        return x
    count = torch.randint(0, largest + 1, (len(x), 1), generator=generator)
    start = (torch.rand(len(x), 1, generator=generator) * (size - count + 1)).long()
    place = torch.arange(size)
    hidden = (place >= start) & (place < start + count)
    shape = [len(x), 1, 1, 1]
    shape[axis] = size
    return torch.where(hidden.view(shape).to(x.device), x.mean(), x)


def _chance(p: float, generator: Generator) -> bool:
    return bool(torch.rand((), generator=generator) < p)


def _beta(alpha: float, count: int, generator: Generator) -> Tensor:
    """Beta(alpha, alpha) from two gamma draws, so that the generator decides."""
    shape = torch.full((count,), alpha)
    first = torch._standard_gamma(shape, generator=generator)
    second = torch._standard_gamma(shape, generator=generator)
    return (first / (first + second).clamp_min(1e-12)).clamp(0, 1)
