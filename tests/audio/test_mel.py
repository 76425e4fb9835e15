"""What the filter banks promise, by hand-made cases."""

from __future__ import annotations

import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.mel import htk_filters, kaldi_filters, mel_filters


def test_neighbouring_htk_filters_add_up_to_one() -> None:
    total = htk_filters(FrontEndConfig()).sum(dim=0)
    hz = torch.arange(2049) * (32000 / 4096)
    inside = (hz > 20) & (hz < 15_700)
    torch.testing.assert_close(total[inside], torch.ones_like(total[inside]))


def test_the_kaldi_nyquist_bin_has_no_weight() -> None:
    filters = kaldi_filters(aum_fbank())
    assert filters.shape == (128, 257)
    assert filters[:, -1].sum() == 0
    assert filters[:, -2].sum() > 0


@pytest.mark.parametrize("config", [FrontEndConfig(), aum_fbank()])
def test_filters_lie_between_zero_and_one_and_rise_in_frequency(config: FrontEndConfig) -> None:
    filters = mel_filters(config)
    assert filters.dtype == torch.float32
    assert filters.min() == 0
    assert 0.5 < filters.max() <= 1
    peaks = filters[20:].argmax(dim=1)
    assert (peaks.diff() >= 0).all()


def test_no_filter_hears_outside_its_range() -> None:
    config = FrontEndConfig(f_min=1000.0, f_max=4000.0)
    heard = mel_filters(config).sum(dim=0).nonzero().squeeze(1) * (32000 / 4096)
    assert heard.min() > 1000
    assert heard.max() < 4000
