"""Each variation does what it says, and everything follows from the generator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.pipeline import Augment, beta, freq_mixstyle, roll
from aum_edge.audio.augment.spectral import mask, specaugment_mask
from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import AudioError, RecipeError
from tests.audio.augment.mixup_pairs import mixup_targets, waveform_mixup

FRONT_END = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, clip_seconds=0.5
)
OFF = AugmentConfig(roll_seconds=0.0, mixstyle_p=0.0)
ALL = AugmentConfig(
    roll_seconds=0.1, mixstyle_p=1.0, freq_mask=6, time_mask=9, mixup_p=0.7, ir_p=0.6
)


def features(batch: int = 8) -> Tensor:
    return torch.randn(batch, 1, 20, 51, generator=torch.Generator().manual_seed(5))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_everything_off_changes_nothing() -> None:
    augment = Augment(OFF, FRONT_END)
    x, targets = features(), torch.eye(8)
    assert torch.equal(augment.features(x, seeded()), x)
    assert torch.equal(augment.waveform(x[:, 0, 0], seeded()), x[:, 0, 0])
    mixed, mixed_targets, partner, lam = augment.mixup(x, targets, seeded())
    assert torch.equal(mixed, x)
    assert torch.equal(mixed_targets, targets)
    assert partner.tolist() == list(range(8))
    assert (lam == 1).all()


def test_a_seed_says_it_all_and_the_global_one_nothing() -> None:
    augment = Augment(ALL, FRONT_END)
    x, targets, waves = features(), torch.eye(8), torch.randn(8, 4000)

    def views(seed: int) -> list[Tensor]:
        generator = seeded(seed)
        torch.rand(3)
        first = augment.waveform(waves, generator)
        return [first, augment.features(x, generator), *augment.mixup(x, targets, generator)]

    for one, same, other in zip(views(1), views(1), views(2), strict=True):
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_inputs_are_left_alone() -> None:
    augment = Augment(ALL, FRONT_END)
    x, targets, waves = features(), torch.eye(8), torch.randn(8, 4000)
    copies = [x.clone(), targets.clone(), waves.clone()]
    augment.features(x, seeded())
    augment.mixup(x, targets, seeded())
    augment.waveform(waves, seeded())
    for now, before in zip([x, targets, waves], copies, strict=True):
        assert torch.equal(now, before)


def test_roll_rotates_each_clip_within_its_range() -> None:
    x = torch.arange(51.0).expand(200, 1, 20, 51)
    rolled = roll(x, 10, seeded())
    shifts = rolled[:, 0, 0].argmin(dim=1)
    shifts = torch.where(shifts > 25, shifts - 51, shifts)
    assert set(shifts.tolist()) == set(range(-10, 11))
    for row in (0, 17):
        assert torch.equal(rolled[row], torch.roll(x[row], int(shifts[row]), dims=2))


def test_the_seconds_of_the_roll_become_frames() -> None:
    assert Augment(replace(OFF, roll_seconds=0.1), FRONT_END).roll_frames == 10
    assert Augment(AugmentConfig(), FrontEndConfig()).roll_frames == 6


def test_mixstyle_gives_band_statistics_between_those_of_two_clips() -> None:
    x = features(2) * torch.tensor([1.0, 3.0])[:, None, None, None]
    x = x + torch.tensor([0.0, 10.0])[:, None, None, None]
    # With two clips a permutation either keeps or swaps them: find a seed that swaps.
    seed = next(s for s in range(50) if torch.randperm(2, generator=seeded(s))[0] == 1)
    mixed = freq_mixstyle(x, 0.5, seeded(seed))
    generator = seeded(seed)
    torch.randperm(2, generator=generator)
    lam = beta(0.5, 2, generator)
    mean, std = x.mean(dim=(1, 3)), x.std(dim=(1, 3))
    share = lam[:, None]
    torch.testing.assert_close(mixed.mean(dim=(1, 3)), share * mean + (1 - share) * mean.flip(0))
    torch.testing.assert_close(
        mixed.std(dim=(1, 3)), share * std + (1 - share) * std.flip(0), atol=1e-4, rtol=1e-4
    )
    shape = (x - mean[:, None, :, None]) / std[:, None, :, None]
    mixed_shape = (mixed - mixed.mean(dim=(1, 3), keepdim=True)) / mixed.std((1, 3), keepdim=True)
    torch.testing.assert_close(mixed_shape, shape, atol=1e-4, rtol=1e-4)


def test_mixstyle_survives_silence() -> None:
    x = torch.full((4, 1, 20, 51), -11.5)
    assert torch.isfinite(freq_mixstyle(x, 0.3, seeded())).all()


def test_mixstyle_of_a_single_frame_is_finite() -> None:
    x = torch.randn(2, 1, 16, 1, generator=seeded(5))
    seed = next(s for s in range(50) if torch.randperm(2, generator=seeded(s))[0] == 1)
    mixed = freq_mixstyle(x, 0.5, seeded(seed))
    assert torch.isfinite(mixed).all()
    assert not torch.equal(mixed, x), "one value is the mean of its band, and the means are mixed"


def test_mixstyle_is_applied_to_its_share_of_batches() -> None:
    augment = Augment(replace(OFF, mixstyle_p=0.4), FRONT_END)
    x, generator = features(), seeded()
    changed = sum(not torch.equal(augment.features(x, generator), x) for _ in range(400))
    assert 120 < changed < 200


@pytest.mark.parametrize(("dim", "size", "most"), [(2, 20, 6), (3, 51, 9), (3, 51, 50)])
def test_a_mask_blanks_one_run_of_at_most_its_width(dim: int, size: int, most: int) -> None:
    x = torch.zeros(500, 1, 20, 51)
    blank = mask(x, dim, most, torch.tensor(7.0), seeded())
    assert set(blank.unique().tolist()) == {0.0, 7.0}
    other = 3 if dim == 2 else 2
    lines = blank.amax(dim=(1, other))
    assert torch.equal(lines, blank.amin(dim=(1, other)))
    widths = (lines == 7).sum(dim=1)
    assert (widths.min(), widths.max()) == (0, most)
    starts = (torch.nn.functional.pad(lines, (1, 0)).diff(dim=1) == 7).sum(dim=1)
    assert starts.max() == 1
    hit = (lines == 7).any(dim=0)
    assert hit.shape == (size,)
    assert hit.all()


def test_masks_are_filled_with_the_mean_of_the_batch() -> None:
    x = features() + 3
    augment = Augment(replace(OFF, freq_mask=6), FRONT_END)
    changed = augment.features(x, seeded())
    filled = changed[changed != x]
    assert len(filled)
    torch.testing.assert_close(filled, x.mean().expand_as(filled))


def test_mixup_mixes_clips_and_targets_alike() -> None:
    augment = Augment(replace(OFF, mixup_p=0.5), FRONT_END)
    x, targets = features(64), torch.eye(64)
    mixed, mixed_targets, partner, lam = augment.mixup(x, targets, seeded())
    assert 0.25 < (lam < 1).float().mean() < 0.75
    assert ((lam >= 0) & (lam <= 1)).all()
    assert sorted(partner.tolist()) == list(range(64))
    share = lam[:, None, None, None]
    torch.testing.assert_close(mixed, share * x + (1 - share) * x[partner])
    rows = lam[:, None]
    torch.testing.assert_close(mixed_targets, rows * targets + (1 - rows) * targets[partner])
    torch.testing.assert_close(mixed_targets.sum(dim=1), torch.ones(64))
    assert torch.equal(mixed[lam == 1], x[lam == 1])


def test_beta_has_the_moments_of_its_distribution() -> None:
    draws = beta(0.3, 20_000, seeded())
    assert abs(float(draws.mean()) - 0.5) < 0.01
    assert abs(float(draws.var()) - 0.25 / 1.6) < 0.005


def test_device_responses_colour_their_share_of_clips() -> None:
    augment = Augment(replace(OFF, ir_p=0.6), FRONT_END)
    x = torch.randn(300, 4000)
    coloured = augment.waveform(x, seeded())
    changed = (coloured != x).any(dim=1)
    assert coloured.shape == x.shape
    assert 0.5 < changed.float().mean() < 0.7
    level = coloured[changed].norm(dim=1) / x[changed].norm(dim=1)
    assert 0.8 < level.min() <= level.max() < 1.2


def test_a_folder_replaces_the_built_in_devices(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "twice.wav", np.array([0.6, 0.0, 0.8]), 8000, subtype="FLOAT")
    augment = Augment(replace(OFF, ir_p=1.0, ir_dir=str(tmp_path)), FRONT_END)
    x = torch.randn(2, 100)
    want = 0.6 * x
    want[:, 2:] += 0.8 * x[:, :-2]
    torch.testing.assert_close(augment.waveform(x, seeded()), want, atol=1e-5, rtol=1e-5)
    with pytest.raises(AudioError, match="No impulse responses"):
        Augment(replace(OFF, ir_p=1.0, ir_dir=str(tmp_path / "none")), FRONT_END)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mixstyle_p", 1.5),
        ("mixup_p", -0.1),
        ("ir_p", float("nan")),
        ("mixstyle_alpha", 0.0),
        ("mixup_alpha", -1.0),
        ("roll_seconds", -0.1),
        ("freq_mask", -1),
        ("time_mask", -1),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=name):
        AugmentConfig(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("freq_mask", 20), ("time_mask", 51)])
def test_a_mask_that_could_blank_a_clip_is_refused(name: str, value: int) -> None:
    with pytest.raises(RecipeError, match=name):
        Augment(replace(OFF, **{name: value}), FRONT_END)
    Augment(replace(OFF, **{name: value - 1}), FRONT_END)


def test_specaugment_masks_are_zero_and_narrower_than_the_largest() -> None:
    x = torch.ones(400, 1, 20, 51)
    masked = specaugment_mask(x, 3, 9, torch.zeros(()), seeded())
    hidden = (masked == 0).all(dim=2)[:, 0]
    widths = hidden.sum(dim=1)
    assert set(widths.tolist()) == set(range(9))
    assert ((hidden.diff(dim=1) != 0).sum(dim=1) <= 2).all()
    assert torch.equal(masked[widths == 0], x[widths == 0])
    # Start and width are both rounded down, so the last frame is hardly ever reached.
    assert hidden.any(dim=0)[:-1].all()


def test_zero_fill_masks_as_upstream_and_before_noise() -> None:
    config = replace(OFF, freq_mask=8, time_mask=20, mask_fill="zero")
    x = features() + 50
    masked = Augment(config, FRONT_END).features(x, seeded())
    assert (masked == 0).any()
    assert torch.equal(masked[masked != 0], x[masked != 0])
    noisy = Augment(replace(config, noise=0.1), FRONT_END, scale=2.0).features(x, seeded())
    assert not (noisy[masked == 0] == 0).all()


def test_noise_is_uniform_and_counts_in_normalised_units() -> None:
    x = torch.zeros(64, 1, 20, 51)
    noisy = Augment(replace(OFF, noise=0.1), FRONT_END, scale=5.0).features(x, seeded())
    most = noisy.amax(dim=(1, 2, 3))
    assert float(noisy.min()) >= 0
    assert float(most.max()) <= 0.5
    assert float(most.max()) > 0.45
    assert float(most.min()) < 0.1


def test_waveform_mixup_of_a_batch_equals_the_pairs_one_by_one() -> None:
    config = replace(OFF, waveform_mixup_p=0.8)
    assert config.needs_waveforms
    assert not OFF.needs_waveforms
    lengths = torch.tensor([4000, 4000, 1500, 900, 4000, 2500])
    waves = torch.randn(6, 4000, generator=seeded(4)) + 0.3
    waves = waves * (torch.arange(4000) < lengths[:, None])
    targets = torch.eye(6)
    targets[1, 0] = 1
    augment = Augment(config, FRONT_END)
    mixed = augment.mix_waveforms(waves, lengths, targets, seeded(3))
    changed = (mixed.lam < 1).nonzero().squeeze(1).tolist()
    assert 2 <= len(changed) < 6
    for row in range(6):
        if row not in changed:
            assert torch.equal(mixed.waveform[row], waves[row])
            continue
        other, lam = int(mixed.partner[row]), float(mixed.lam[row])
        first = waves[row, : lengths[row]]
        want = waveform_mixup(first, waves[other, : lengths[other]], lam)
        got = mixed.waveform[row, : lengths[row]]
        torch.testing.assert_close(got, want, atol=1e-6, rtol=0)
        assert not mixed.waveform[row, lengths[row] :].any()
        want = mixup_targets(targets[row], targets[other], lam)
        torch.testing.assert_close(mixed.targets[row], want)


def test_waveform_mixup_off_or_with_whole_clips() -> None:
    waves, targets = torch.randn(3, 50, generator=seeded()), torch.eye(3)
    off = Augment(OFF, FRONT_END).mix_waveforms(waves, None, targets, seeded())
    assert torch.equal(off.waveform, waves)
    assert torch.equal(off.targets, targets)
    config = replace(OFF, waveform_mixup_p=1.0)
    on = Augment(config, FRONT_END).mix_waveforms(waves, None, targets, seeded())
    assert on.waveform.mean(dim=1).abs().max() < 1e-6


@pytest.mark.parametrize(
    "change",
    [
        {"mask_fill": "black"},
        {"mask_count": 0},
        {"noise": -0.1},
        {"waveform_mixup_p": 2},
        {"waveform_mixup_alpha": 0},
    ],
)
def test_upstream_settings_out_of_range_are_named(change: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=f"augment.{next(iter(change))}"):
        AugmentConfig(**change)


def test_two_masks_hide_more_than_one() -> None:
    x = torch.ones(200, 1, 20, 51)
    hidden = []
    for count in (1, 2):
        config = replace(OFF, time_mask=9, mask_fill="zero", mask_count=count)
        blank = Augment(config, FRONT_END).features(x, seeded())[:, 0, 0] == 0
        hidden.append(float(blank.float().mean()))
        borders = (blank.diff(dim=1) != 0).sum(dim=1)
        assert int(borders.max()) == 2 * count
    assert hidden[1] > 1.5 * hidden[0]
