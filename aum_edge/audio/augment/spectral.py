"""Spectral augmentation of log-mel features: masks, frequency warp, time stretch, filter, noise."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from aum_edge.audio.config import FrontEndConfig

KNOTS = 4
"""Points of a random colour's curve; lines lie between them."""
SPAN = 50.0
"""How much deeper than the nearest the deepest noise floor lies, dB."""
_NEPER = 0.1 * 2.302585092994046
"""Natural logarithm of a power ratio of 1 dB; features are natural logarithms."""


def warped_bands(config: FrontEndConfig, factor: Tensor) -> Tensor:
    """Source band of each mel band when frequencies are ``factor`` times higher.

    Shape:
        factor: (B,). Returns band numbers (B, n_mels), not rounded, inside the front end's bands.

    A band at f Hz takes the place of f * factor. Source: vocal tract length perturbation, Jaitly
    and Hinton, ICML 2013 workshop on speech, less their break at high frequencies.
    """
    low, high = _mel(torch.tensor(config.f_min)), _mel(torch.tensor(config.high_frequency))
    step = (high - low) / (config.n_mels + 1)
    hz = 700 * (10 ** ((low + step * torch.arange(1, config.n_mels + 1)) / 2595) - 1)
    bands = (_mel(hz * factor[:, None]) - low) / step - 1
    return bands.clamp(0, config.n_mels - 1)


def freq_warp(x: Tensor, most: float, config: FrontEndConfig, generator: Generator) -> Tensor:
    """Scale the frequencies of each clip (B, 1, F, T) by exp(u), u drawn from -most to most.

    On log-mel features, by linear interpolation between bands; the outer bands are repeated.
    Kaldi's mel scale is the same curve.
    """
    factor = torch.exp(most * (2 * torch.rand(len(x), generator=generator) - 1))
    bands = warped_bands(config, factor).to(x.device)
    return interpolate(x, bands, dim=2)


def time_stretch(x: Tensor, most: float, generator: Generator) -> Tensor:
    """Play each clip (B, 1, F, T) exp(u) times faster, u drawn from -most to most.

    From its first frame; where a clip has ended it goes on in reverse, so its last frames, silent
    in a padded clip, fill what is missing. Frames are interpolated linearly: pitch stays.
    """
    frames = x.shape[3]
    speed = torch.exp(most * (2 * torch.rand(len(x), generator=generator) - 1))
    at = speed[:, None] * torch.arange(frames)
    last = frames - 1
    at = torch.where(at > last, 2 * last - at, at).clamp(0, last)
    return interpolate(x, at.to(x.device), dim=3)


def colour(x: Tensor, most: float, config: FrontEndConfig, generator: Generator) -> Tensor:
    """Add a random curve over frequency to each clip (B, 1, F, T) of log-mel features.

    ``KNOTS`` values from -most to most dB, evenly spaced over the bands and joined by lines: a
    microphone, a room or a distance. Source: FilterAugment (linear), Nam et al., arXiv 2110.03282.
    """
    highest = most * _NEPER * config.power / 2
    knots = highest * (2 * torch.rand(len(x), 1, KNOTS, generator=generator) - 1)
    curve = torch.nn.functional.interpolate(
        knots, size=x.shape[2], mode="linear", align_corners=True
    )
    return x + curve.to(x).unsqueeze(3)


def noise_floor(x: Tensor, nearest: float, config: FrontEndConfig, generator: Generator) -> Tensor:
    """Add steady noise to each clip (B, 1, F, T) of log-mel features, at a level of its own.

    It lies ``nearest`` to ``nearest + SPAN`` dB below the clip's highest feature; powers are added
    as those of independent sounds. Of features less their mean over the clip the noise has the
    long-term spectrum of the clip itself.
    """
    unit = _NEPER * config.power / 2
    depth = nearest + SPAN * torch.rand(len(x), 1, 1, 1, generator=generator).to(x)
    level = x.amax(dim=(1, 2, 3), keepdim=True) - unit * depth
    return torch.logaddexp(x, level.expand_as(x))


def mask(x: Tensor, dim: int, most: int, fill: Tensor, generator: Generator) -> Tensor:
    """SpecAugment: set 0 to ``most`` adjacent rows of ``dim`` in each (B, 1, F, T) to ``fill``."""
    if not most:
        return x
    width = torch.randint(0, most + 1, (len(x),), generator=generator)
    starts = x.shape[dim] - width + 1
    first = (torch.rand(len(x), generator=generator) * starts).long()
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


def interpolate(x: Tensor, at: Tensor, dim: int) -> Tensor:
    """Rows or columns of each clip (B, 1, F, T) at the places ``at`` (B, F or T), not rounded."""
    low = at.floor().long().clamp(0, x.shape[dim] - 1)
    high = (low + 1).clamp(max=x.shape[dim] - 1)
    share = (at - low).to(x.dtype)
    shape = [len(x), 1, 1, 1]
    shape[dim] = x.shape[dim]

    def taken(rows: Tensor) -> Tensor:
        return x.gather(dim, rows.view(shape).expand_as(x))

    share = share.view(shape)
    return (1 - share) * taken(low) + share * taken(high)


def _mel(hz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + hz / 700)
