"""Mixup of rows and of waveforms, by numbers worked out by hand."""

from __future__ import annotations

import torch

from aum_edge.audio.augment.mixup import mix_centred, mix_rows


def test_mix_rows_mixes_with_the_partner() -> None:
    rows = torch.eye(2)
    mixed = mix_rows(rows, torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(mixed, torch.tensor([[0.25, 0.75], [0.0, 1.0]]))


def test_waveform_mixup_centres_cuts_weighs_and_centres_again() -> None:
    waves = torch.tensor([[1.0, 3.0, 5.0, 7.0], [2.0, 6.0, 0.0, 0.0]])
    shares = torch.tensor([0.25, 1.0])
    mixed = mix_centred(waves, torch.tensor([4, 2]), torch.tensor([1, 0]), shares)
    # Centred: -3 -1 1 3 and -2 2 0 0; a quarter of the one and three of the other sum to 0.
    torch.testing.assert_close(mixed[0], torch.tensor([-2.25, 1.25, 0.25, 0.75]))
    assert torch.equal(mixed[1], waves[1])


def test_targets_add_up_where_both_clips_have_the_class() -> None:
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    mixed = mix_rows(targets, torch.tensor([1, 0]), torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(mixed[0], torch.tensor([0.25, 1.0, 0.75]))
