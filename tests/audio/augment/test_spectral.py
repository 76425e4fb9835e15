"""Warps move what they say, draws follow the generator."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.pipeline import Augment
from aum_edge.audio.augment.spectral import (
    SPAN,
    colour,
    freq_warp,
    interpolate,
    noise_floor,
    time_stretch,
    warped_bands,
)
from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import RecipeError

CONFIG = FrontEndConfig(sample_rate=16_000, n_fft=1024, win_length=512, hop_length=160, n_mels=64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_warped_tone_is_a_tone_of_the_other_frequency() -> None:
    time = torch.arange(16_000) / 16_000
    low, high = (torch.sin(2 * math.pi * hz * time)[None] for hz in (1000.0, 1200.0))
    front_end = FrontEnd(CONFIG)
    bands = warped_bands(CONFIG, torch.tensor([1 / 1.2]))
    moved = interpolate(front_end(low).unsqueeze(1), bands, dim=2)
    peak = front_end(high).mean(dim=2).argmax()
    assert abs(int(moved.mean(dim=(1, 3)).argmax()) - int(peak)) <= 1
    assert abs(int(front_end(low).mean(dim=2).argmax()) - int(peak)) > 1


def test_no_warp_is_no_change() -> None:
    x = torch.randn(3, 1, 64, 20)
    torch.testing.assert_close(freq_warp(x, 0.0, CONFIG, seeded()), x, rtol=1e-4, atol=1e-4)
    assert torch.equal(time_stretch(x, 0.0, seeded()), x)
    assert torch.equal(colour(x, 0.0, CONFIG, seeded()), x)


def test_a_faster_clip_goes_on_in_reverse() -> None:
    x = torch.arange(8.0).view(1, 1, 1, 8)
    assert interpolate(x, torch.tensor([[0.0, 1.5, 3.0, 7.0, 6.0, 5.0, 4.0, 3.0]]), 3).flatten()[
        1
    ] == pytest.approx(1.5)
    fast = time_stretch(x.expand(50, 1, 1, 8), 0.5, seeded())
    assert float(fast.max()) <= 7
    assert (fast[:, 0, 0, 0] == 0).all()
    assert len(fast.flatten(1).unique(dim=0)) == 50


@pytest.mark.parametrize("power", [1, 2])
def test_colour_is_a_curve_of_bounded_height(power: int) -> None:
    config = replace(CONFIG, power=power)
    x = torch.zeros(200, 1, 64, 5)
    added = colour(x, 6.0, config, seeded())
    assert (added == added[..., :1]).all()
    highest = 6 * math.log(10) / 10 * power / 2
    assert 0.8 * highest < float(added.abs().max()) <= highest * 1.0001
    steps = added[:, 0, :, 0].diff(dim=1)
    assert float(steps.abs().max()) < highest / 5


def test_a_noise_floor_hides_what_lies_below_it_and_leaves_the_rest() -> None:
    x = torch.full((100, 1, 64, 5), -30.0)
    x[..., 2] = 5.0
    y = noise_floor(x, 20.0, CONFIG, seeded())
    below = (5.0 - y[..., 0]) * 10 / math.log(10)
    assert float(below.min()) > 19.9
    assert float(below.max()) < 20 + SPAN + 0.1
    assert float(below.amax(dim=2).std()) > 5
    torch.testing.assert_close(y[..., 2], x[..., 2], atol=0.011, rtol=0)


def test_a_clip_without_its_mean_stays_without_it() -> None:
    config = replace(CONFIG, clip_mean=True)
    values = {"roll_seconds": 0.0, "mixstyle_p": 0.0, "floor_db": 20.0, "time_stretch": 0.3}
    x = FrontEnd(config)(torch.randn(3, 16_000)).unsqueeze(1)
    varied = Augment(AugmentConfig(**values), config).features(x, seeded())
    assert not torch.allclose(varied, x, atol=0.1)
    assert varied.mean(dim=3).abs().max() < 1e-4


def test_the_augmentation_uses_each_of_them_and_its_seed_alone() -> None:
    x = torch.randn(4, 1, 64, 30)
    off = AugmentConfig(roll_seconds=0.0, mixstyle_p=0.0)
    for name in ("freq_warp", "time_stretch", "colour_db", "floor_db"):
        augment = Augment(replace(off, **{name: 0.3}), CONFIG)
        first = augment.features(x, seeded(1))
        assert torch.equal(first, augment.features(x, seeded(1)))
        assert not torch.equal(first, augment.features(x, seeded(2)))
        assert not torch.equal(first, x)
        with pytest.raises(RecipeError, match=name):
            replace(off, **{name: -0.1})


def test_level_and_channel_leave_a_clip_less_its_mean() -> None:
    noise = torch.randn(1, 16_000, generator=seeded()) * torch.linspace(0.01, 0.2, 16_000)
    plain = FrontEnd(replace(CONFIG, log_offset=1e-12))
    relative = FrontEnd(replace(CONFIG, log_offset=1e-12, clip_mean=True))
    assert not torch.allclose(plain(noise), plain(3 * noise), atol=1e-3)
    torch.testing.assert_close(relative(noise), relative(3 * noise), atol=1e-3, rtol=0)
    assert relative(noise).mean(dim=2).abs().max() < 1e-4


def test_a_floor_is_below_the_highest_feature_by_what_was_asked() -> None:
    wave = torch.randn(2, 16_000) * torch.linspace(0, 0.2, 16_000) ** 3
    floored = FrontEnd(replace(CONFIG, range_db=30.0))(wave)
    span = floored.amax(dim=(1, 2)) - floored.amin(dim=(1, 2))
    torch.testing.assert_close(span, torch.full((2,), 3 * math.log(10)))
    assert torch.equal(floored.amax(dim=(1, 2)), FrontEnd(CONFIG)(wave).amax(dim=(1, 2)))


def test_what_hears_the_whole_clip_takes_no_foreign_frames() -> None:
    with pytest.raises(RecipeError, match="padding: audio"):
        replace(CONFIG, clip_mean=True, padding="zero", stft_padding="constant")
    with pytest.raises(RecipeError, match="range_db"):
        replace(CONFIG, range_db=-1.0)
