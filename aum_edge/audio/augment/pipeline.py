"""Augmentation of training batches: impulse responses, roll, Freq-MixStyle, masks, mixup."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.impulse_response import convolve, device_responses, folder_responses
from aum_edge.audio.augment.mixup import mix_centred, mix_rows
from aum_edge.audio.augment.spectral import (
    colour,
    freq_warp,
    mask,
    noise_floor,
    specaugment_mask,
    time_stretch,
)
from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import RecipeError

DEVICES = 64
"""Built-in imaginary devices."""
_EPSILON = 1e-6


class MixedWaveforms(NamedTuple):
    """What waveform mixup gives; ``lam`` (B,) is 1 where nothing is mixed in."""

    waveform: Tensor
    targets: Tensor
    partner: Tensor
    lam: Tensor


class Augment:
    """Augments batches as configured; every draw comes from the given generator.

    No input is changed in place. The generator lives on the CPU, so that a seed means the same on
    every machine; tensors may be anywhere. ``scale`` is what normalisation divides features by:
    noise is given in units after it.

    Raises:
        RecipeError: If a mask could blank a whole clip of this front end.
        AudioError: If the folder of impulse responses cannot be used.
    """

    def __init__(self, config: AugmentConfig, frontend: FrontEndConfig, scale: float = 1.0) -> None:
        self.config = config
        self.frontend = frontend
        self.scale = scale
        for name, widest in (("freq_mask", frontend.n_mels), ("time_mask", frontend.n_frames)):
            if getattr(config, name) >= widest:
                raise RecipeError(
                    f"`augment.{name}` {getattr(config, name)} could blank a whole clip of "
                    f"{widest}: give at most {widest - 1}."
                )
        self.roll_frames = round(config.roll_seconds * frontend.sample_rate / frontend.hop_length)
        self.responses: Tensor | None = None
        if config.ir_p > 0:
            self.responses = (
                folder_responses(config.ir_dir, frontend.sample_rate)
                if config.ir_dir
                else device_responses(frontend.sample_rate, DEVICES, config.ir_seed)
            )

    def waveform(self, x: Tensor, generator: Generator) -> Tensor:
        """Convolve some clips with a device impulse response; then the registered variations.

        Shape:
            (B, samples) to the same.

        Source: device impulse response augmentation, Morocutti et al., arXiv 2305.07499.
        """
        if self.responses is not None:
            x = self._through_devices(x, self.responses, generator)
        for one in self.config.in_order:
            x = one.waveform(x, self.frontend, generator)
        return x

    def _through_devices(self, x: Tensor, responses: Tensor, generator: Generator) -> Tensor:
        """Convolve some clips (B, samples) with a response of (count, taps) drawn for each."""
        chosen = torch.rand(len(x), generator=generator) < self.config.ir_p
        device = torch.randint(len(responses), (len(x),), generator=generator)
        rows = chosen.nonzero().squeeze(1)
        if not len(rows):
            return x
        chosen_responses = responses[device[rows]].to(x)
        rows = rows.to(x.device)
        return x.index_copy(0, rows, convolve(x[rows], chosen_responses))

    def mix_waveforms(
        self, x: Tensor, lengths: Tensor | None, targets: Tensor, generator: Generator
    ) -> MixedWaveforms:
        """Mix some clips' waveforms with those of a partner from the batch, as AuM does.

        Each loses its mean, the partner is cut or zero-padded to the clip, the mix loses its
        mean. A class of both clips gets both shares. AuM draws the partner from the whole
        training split; here it is one of the shuffled batch.

        Shape:
            x: (B, samples); lengths: (B,) samples before padding, or None for all; targets: (B, C).
        """
        config, n = self.config, len(x)
        if not config.waveform_mixup_p:
            return MixedWaveforms(x, targets, torch.arange(n, device=x.device), x.new_ones(n))
        partner, lam = _partners(x, config.waveform_mixup_p, config.waveform_mixup_alpha, generator)
        mixed = mix_centred(x, lengths, partner, lam)
        return MixedWaveforms(mixed, mix_rows(targets, partner, lam), partner, lam)

    def features(self, x: Tensor, generator: Generator) -> Tensor:
        """Time stretch, frequency warp, filter, noise floor; roll, Freq-MixStyle, masks, noise.

        What the front end takes off every clip, its mean, is taken off again.

        Shape:
            (B, 1, F, T) to the same.
        """
        config = self.config
        if config.time_stretch:
            x = time_stretch(x, config.time_stretch, generator)
        if config.freq_warp:
            x = freq_warp(x, config.freq_warp, self.frontend, generator)
        if config.colour_db:
            x = colour(x, config.colour_db, self.frontend, generator)
        if config.floor_db:
            x = noise_floor(x, config.floor_db, self.frontend, generator)
        if self.frontend.clip_mean and config.moves_the_mean:
            x = x - x.mean(dim=3, keepdim=True)
        if self.roll_frames:
            x = roll(x, self.roll_frames, generator)
        p = self.config.mixstyle_p
        if p and float(torch.rand((), generator=generator)) < p:
            x = freq_mixstyle(x, self.config.mixstyle_alpha, generator)
        if self.config.freq_mask or self.config.time_mask:
            fill, blank = x.mean(), mask
            if self.config.mask_fill == "zero":
                fill, blank = x.new_zeros(()), specaugment_mask
            for dim, most in ((2, self.config.freq_mask), (3, self.config.time_mask)):
                for _ in range(self.config.mask_count):
                    x = blank(x, dim, most, fill, generator)
        if self.config.noise:
            x = add_noise(x, self.config.noise * self.scale, generator)
        return self._registered(x, generator)

    def _registered(self, x: Tensor, generator: Generator) -> Tensor:
        """Features (B, 1, F, T) after the registered variations, without a mean again."""
        for one in self.config.in_order:
            x = one.features(x, self.frontend, generator)
        if self.frontend.clip_mean and self.config.registered:
            x = x - x.mean(dim=3, keepdim=True)
        return x

    def mixup(
        self, x: Tensor, targets: Tensor, generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mix some clips with a partner from the batch: ``lam`` of the clip, the rest of it.

        Args:
            x: Features.
            targets: Class shares as floats.
            generator: Source of the draws.

        Shape:
            x: (B, 1, F, T); targets: (B, C). Returns x, targets, the partners (B,) int64 and the
            shares lam (B,); lam is 1 where nothing is mixed in.

        Source: Zhang et al., arXiv 1710.09412.
        """
        n = len(x)
        if not self.config.mixup_p:
            return x, targets, torch.arange(n, device=x.device), x.new_ones(n)
        partner, lam = _partners(x, self.config.mixup_p, self.config.mixup_alpha, generator)
        return mix_rows(x, partner, lam), mix_rows(targets, partner, lam), partner, lam


def _partners(
    x: Tensor, probability: float, alpha: float, generator: Generator
) -> tuple[Tensor, Tensor]:
    """A partner (B,) and a share ``lam`` (B,) for each row of ``x``; 1 where nothing is mixed."""
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    lam = beta(alpha, len(x), generator)
    lam[torch.rand(len(x), generator=generator) >= probability] = 1
    return partner, lam.to(x)


def roll(x: Tensor, most: int, generator: Generator) -> Tensor:
    """Rotate each clip (B, 1, F, T) in time by -most to +most frames, drawn for each."""
    shift = torch.randint(-most, most + 1, (len(x),), generator=generator)
    source = (torch.arange(x.shape[3]) - shift[:, None]) % x.shape[3]
    return x.gather(3, source.to(x.device)[:, None, None].expand_as(x))


def freq_mixstyle(x: Tensor, alpha: float, generator: Generator) -> Tensor:
    """Give each clip (B, 1, F, T) frequency statistics mixed with those of another clip.

    Mean and deviation of every mel band over channel and time are taken off and replaced by a
    Beta(alpha, alpha) mix of the clip's own and its partner's. A single value has deviation 0.

    Source: Schmid et al., DCASE 2022 Task 1; after MixStyle, Zhou et al., arXiv 2104.02008.
    """
    mean = x.mean(dim=(1, 3), keepdim=True)
    single = x.shape[1] * x.shape[3] == 1  # n - 1 would divide by zero
    std = (x.var(dim=(1, 3), keepdim=True, correction=0 if single else 1) + _EPSILON).sqrt()
    partner = torch.randperm(len(x), generator=generator).to(x.device)
    lam = beta(alpha, len(x), generator).to(x)[:, None, None, None]
    mixed_mean = lam * mean + (1 - lam) * mean[partner]
    mixed_std = lam * std + (1 - lam) * std[partner]
    return (x - mean) * (mixed_std / std) + mixed_mean


def add_noise(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Add uniform noise from 0 to ``most``, times a share from 0 to 1 drawn for each clip."""
    share = torch.rand(len(x), generator=generator).to(x)[:, None, None, None]
    return x + most * share * torch.rand(x.shape, generator=generator).to(x)


def beta(alpha: float, count: int, generator: Generator) -> Tensor:
    """Draws (count,) float32 from Beta(alpha, alpha), which torch takes no generator for."""
    seed = int(torch.randint(1 << 62, (), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()
