"""The fast resampler against its formula, written out sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from aum_edge.audio.resample import ROLLOFF, ZERO_CROSSINGS, resample
from aum_edge.errors import AudioError


def slow_resample(x: Tensor, old: int, new: int) -> Tensor:
    """Each new sample as the weighted sum over all old ones."""
    cutoff = min(old, new) * ROLLOFF
    out = torch.zeros(math.ceil(len(x) * new / old), dtype=torch.float64)
    for j in range(len(out)):
        for i in range(len(x)):
            t = (i / old - j / new) * cutoff
            if abs(t) < ZERO_CROSSINGS:
                sinc = math.sin(math.pi * t) / (math.pi * t) if t else 1.0
                window = math.cos(math.pi * t / (2 * ZERO_CROSSINGS)) ** 2
                out[j] += x[i].double() * sinc * window * cutoff / old
    return out


@pytest.mark.parametrize(
    ("old", "new"),
    [(441, 320), (44100, 32000), (3, 2), (1, 4), (7, 1), (8, 32), (44101, 32000), (31999, 44100)],
)
@pytest.mark.parametrize("samples", [1, 50, 133])
def test_resample_equals_the_written_out_sum(old: int, new: int, samples: int) -> None:
    x = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    got = resample(x, old, new)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), slow_resample(x, old, new), atol=3e-5, rtol=0)


def test_rates_without_a_common_divisor_agree_with_their_neighbours() -> None:
    t = torch.arange(44100) / 44100
    x = torch.sin(2 * math.pi * 440 * t)[None].repeat(3, 1)
    near, odd = resample(x, 44100, 32000), resample(x, 44101, 32000)
    assert odd.shape == (3, math.ceil(44100 * 32000 / 44101))
    assert (near[:, :2000] - odd[:, :2000]).abs().max() < 0.01


@pytest.mark.parametrize(("old", "new"), [(48000, 32000), (16000, 32000), (22050, 32000)])
def test_a_tone_stays_that_tone(old: int, new: int) -> None:
    x = torch.sin(2 * math.pi * 1000 * torch.arange(old) / old)
    got = resample(x, old, new)
    want = torch.sin(2 * math.pi * 1000 * torch.arange(len(got)) / new)
    assert (got - want)[200:-200].abs().max() < 2e-3


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    x = torch.sin(2 * math.pi * 14_000 * torch.arange(48000) / 48000)
    assert resample(x, 48000, 16000)[100:-100].abs().max() < 0.02


def test_rows_of_a_batch_and_leading_dimensions_are_independent() -> None:
    x = torch.randn(2, 3, 500)
    got = resample(x, 44100, 32000)
    assert got.shape == (2, 3, math.ceil(500 * 320 / 441))
    torch.testing.assert_close(got[1, 2], resample(x[1, 2], 44100, 32000))


def test_equal_rates_change_nothing_and_empty_stays_empty() -> None:
    x = torch.randn(100)
    assert torch.equal(resample(x, 8000, 8000), x)
    assert resample(x[:0], 44100, 32000).shape == (0,)


def test_integers_are_converted_and_float64_stays() -> None:
    assert resample(torch.ones(10, dtype=torch.int16), 2, 1).dtype == torch.float32
    assert resample(torch.ones(10, dtype=torch.float64), 2, 1).dtype == torch.float64


def test_a_kernel_made_in_inference_mode_serves_a_gradient() -> None:
    with torch.inference_mode():
        resample(torch.randn(100), 37, 23)
    x = torch.randn(100, requires_grad=True)
    resample(x, 37, 23).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(("old", "new"), [(0, 8000), (8000, -1)])
def test_an_impossible_rate_is_refused(old: int, new: int) -> None:
    with pytest.raises(AudioError, match="at least 1 Hz"):
        resample(torch.zeros(10), old, new)
