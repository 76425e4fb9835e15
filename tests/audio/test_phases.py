"""Few taps and few bins give what the full products give."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.mel import MelSums, mel_filters
from aum_edge.audio.resample import PhaseGroups, half_width, resample

PERIODS = [(441, 320), (320, 441), (3, 1), (1, 3), (2, 1), (160, 441), (441, 160), (1, 2)]


@pytest.mark.parametrize(("old", "new"), PERIODS, ids=str)
def test_phases_are_the_resamplers(old: int, new: int) -> None:
    margin = -(-(half_width(old, new) + 1) // old) * old
    x = torch.randn(7 * old + 2 * margin, generator=torch.manual_seed(0))
    found = PhaseGroups(old, new)(x, margin, 7)
    first = margin // old * new
    wanted = resample(x, old, new)[first : first + 7 * new]
    assert found.shape == (7 * new,)
    torch.testing.assert_close(found, wanted, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        FrontEndConfig(),
        # Bands so narrow that some of them hold no bin, the first and the last among them.
        replace(FrontEndConfig(), n_fft=256, win_length=256, hop_length=128, n_mels=200),
        aum_fbank(n_frames=128),
    ],
    ids=["dcase", "narrow", "kaldi"],
)
@pytest.mark.parametrize("frames", [1, 7])
def test_mel_sums_are_the_product(config: FrontEndConfig, frames: int) -> None:
    filters = mel_filters(config)
    power = torch.rand(frames, filters.shape[1], generator=torch.manual_seed(1)).T
    found = MelSums(filters)(power)
    assert found.shape == (config.n_mels, frames)
    torch.testing.assert_close(found, filters @ power, atol=1e-5, rtol=1e-5)


def test_mel_sums_of_a_frame_do_not_depend_on_its_neighbours() -> None:
    filters = mel_filters(FrontEndConfig())
    power = torch.rand(filters.shape[1], 9, generator=torch.manual_seed(2))
    sums = MelSums(filters)
    together = sums(power)
    for frame in range(9):
        torch.testing.assert_close(
            sums(power[:, frame : frame + 1])[:, 0], together[:, frame], atol=1e-6, rtol=1e-6
        )


def test_no_band_hears_anything() -> None:
    assert torch.equal(MelSums(torch.zeros(3, 5))(torch.ones(5, 2)), torch.zeros(3, 2))
