"""Impulse responses: seeded ones, recorded ones, and the convolution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aum_edge.audio.augment.impulse_response import convolve, device_responses, folder_responses
from aum_edge.errors import AudioError


@pytest.mark.parametrize("rate", [8000, 16000, 32000, 44100])
def test_devices_are_seeded_distinct_and_of_unit_energy(rate: int) -> None:
    responses = device_responses(rate, 12, seed=3)
    assert responses.shape == (12, round(0.02 * rate))
    assert torch.equal(responses, device_responses(rate, 12, seed=3))
    assert not torch.allclose(responses, device_responses(rate, 12, seed=4))
    torch.testing.assert_close(responses.norm(dim=1), torch.ones(12))
    assert torch.pdist(responses).min() > 0.05


def test_devices_do_not_delay_a_clip() -> None:
    responses = device_responses(32000, 64, seed=0)
    assert responses.abs().argmax(dim=1).max() < 32
    assert (responses[:, :320].square().sum(dim=1) > 0.9).all()


def test_devices_cut_the_lows_and_the_highs() -> None:
    db = 20 * torch.fft.rfft(device_responses(32000, 64, seed=0), 32000).abs().log10()
    middle = db[:, 500:3000].mean(dim=1)
    assert (db[:, 20] < middle - 6).float().mean() > 0.9
    assert (db[:, 15_900] < middle - 3).float().mean() > 0.8
    assert (db[:, 300:4000].std(dim=1) > 0.5).all()


def test_convolution_equals_the_sum_and_keeps_the_length() -> None:
    x, h = torch.randn(3, 50), torch.randn(3, 7)
    want = torch.stack(
        [
            torch.from_numpy(np.convolve(a, b)[:50])
            for a, b in zip(x.numpy(), h.numpy(), strict=True)
        ]
    )
    torch.testing.assert_close(convolve(x, h), want, atol=1e-5, rtol=0)


def test_recorded_responses_are_aligned_resampled_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    late = np.zeros(8000)
    late[4000] = 0.8
    soundfile.write(tmp_path / "b.wav", late, 16000)
    soundfile.write(tmp_path / "deep" / "c.wav", late[3990:4100], 16000)
    (tmp_path / "notes.txt").write_text("not a response")
    responses = folder_responses(tmp_path, 32000)
    assert responses.shape[0] == 2
    assert responses.shape[1] <= 16000
    assert int(responses[0].abs().argmax()) == 32
    torch.testing.assert_close(responses.norm(dim=1), torch.ones(2))


def test_a_folder_of_no_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="No impulse responses"):
        folder_responses(tmp_path, 32000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(100), 16000)
    with pytest.raises(AudioError, match="silent"):
        folder_responses(tmp_path, 32000)
