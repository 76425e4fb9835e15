"""AuM's waveform mixup, pair by pair."""

from __future__ import annotations

import pytest
import torch

from aum_edge.audio.augment.mixup import mixup_targets, waveform_mixup
from aum_edge.errors import AudioError


def test_mixup_centres_cuts_weighs_and_centres_again() -> None:
    first = torch.tensor([[1.0, 3.0, 5.0, 7.0]])
    second = torch.tensor([[2.0, 6.0]])
    # Centred: -3 -1 1 3 and -2 2 0 0; a quarter of the one and three of the other sum to 0.
    want = [[-2.25, 1.25, 0.25, 0.75]]
    torch.testing.assert_close(waveform_mixup(first, second, 0.25), torch.tensor(want))
    longer = torch.tensor([[2.0, 6.0, 1.0, 0.0, 91.0]])
    assert waveform_mixup(first, longer, 0.25).shape == first.shape
    assert abs(float(waveform_mixup(first, longer, 0.25).mean())) < 1e-6


def test_mixup_takes_the_mean_over_all_channels() -> None:
    first = torch.tensor([[1.0, 1.0], [3.0, 3.0]])
    want = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    torch.testing.assert_close(waveform_mixup(first, first, 0.7), want)


def test_targets_add_up_where_both_clips_have_the_class() -> None:
    first, second = torch.tensor([1.0, 1.0, 0.0]), torch.tensor([0.0, 1.0, 1.0])
    torch.testing.assert_close(mixup_targets(first, second, 0.25), torch.tensor([0.25, 1.0, 0.75]))


def test_mixup_refuses_other_channels_and_shares() -> None:
    with pytest.raises(AudioError, match="same channels"):
        waveform_mixup(torch.zeros(1, 4), torch.zeros(2, 4), 0.5)
    with pytest.raises(AudioError, match="0 to 1"):
        waveform_mixup(torch.zeros(1, 4), torch.zeros(1, 4), 1.5)
