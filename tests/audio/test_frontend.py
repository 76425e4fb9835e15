"""Both front ends against plain numpy loops that follow their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import AudioError

SMALL = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20, clip_seconds=0.5
)
FBANK = aum_fbank(8000, 0.5)


def waves(batch: int, samples: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed)) * 0.2


def plain_log_mel(x: np.ndarray, c: FrontEndConfig) -> np.ndarray:
    x = np.pad(x, c.n_fft // 2, mode="reflect")
    window = np.zeros(c.n_fft)
    left = (c.n_fft - c.win_length) // 2
    n = np.arange(c.win_length)
    window[left : left + c.win_length] = 0.5 - 0.5 * np.cos(2 * np.pi * n / c.win_length)
    columns = []
    for at in range(0, len(x) - c.n_fft + 1, c.hop_length):
        power = np.abs(np.fft.rfft(x[at : at + c.n_fft] * window)) ** 2
        columns.append(np.log(plain_filters(c, 2595 / np.log(10), in_hz=True) @ power + 1e-5))
    return np.stack(columns, axis=1)


def plain_fbank(x: np.ndarray, c: FrontEndConfig) -> np.ndarray:
    window = np.hanning(c.win_length)
    filters = plain_filters(c, 1127, in_hz=False)
    columns = []
    for at in range(0, len(x) - c.win_length + 1, c.hop_length):
        frame = x[at : at + c.win_length]
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, c.n_fft)) ** 2
        columns.append(np.log(np.maximum(filters @ power, c.log_offset)))
    return np.stack(columns, axis=1)


def plain_filters(c: FrontEndConfig, factor: float, *, in_hz: bool) -> np.ndarray:
    low, high = (factor * np.log(1 + hz / 700) for hz in (c.f_min, c.high_frequency))
    step = (high - low) / (c.n_mels + 1)
    filters = np.zeros((c.n_mels, c.n_fft // 2 + 1))
    for k in range(c.n_mels):
        edges = [low + (k + i) * step for i in range(3)]
        for b in range(c.n_fft // 2 + 1 if in_hz else c.n_fft // 2):
            point = b * c.sample_rate / c.n_fft
            a, m, z = edges
            if in_hz:
                a, m, z = (700 * (np.exp(edge / factor) - 1) for edge in edges)
            else:
                point = factor * np.log(1 + point / 700)
            filters[k, b] = max(0.0, min((point - a) / (m - a), (z - point) / (z - m)))
    return filters


@pytest.mark.parametrize("samples", [4000, 3999, 129, 1234])
def test_log_mel_equals_the_plain_loop(samples: int) -> None:
    x = waves(2, samples)
    got = FrontEnd(SMALL)(x)
    want = np.stack([plain_log_mel(row, SMALL) for row in x.double().numpy()])
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), want, atol=1e-3)


@pytest.mark.parametrize("samples", [4000, 200, 279, 280, 1234])
def test_kaldi_fbank_equals_the_plain_loop(samples: int) -> None:
    x = waves(2, samples) + 0.1
    got = FrontEnd(FBANK)(x)
    want = np.stack([plain_fbank(row - row.mean(), FBANK) for row in x.double().numpy()])
    np.testing.assert_allclose(got.numpy(), want, atol=2e-3)


@pytest.mark.parametrize("config", [SMALL, FBANK, FrontEndConfig(), aum_fbank()])
def test_a_clip_has_the_frames_that_the_config_says(config: FrontEndConfig) -> None:
    got = FrontEnd(config)(waves(1, config.clip_samples))
    assert got.shape == (1, config.n_mels, config.n_frames)
    assert got.is_contiguous()


@pytest.mark.parametrize("config", [SMALL, FBANK])
def test_a_row_does_not_depend_on_its_batch(config: FrontEndConfig) -> None:
    x = waves(19, config.clip_samples)
    front_end = FrontEnd(config)
    together = front_end(x)
    for row in (0, 7, 8, 18):
        torch.testing.assert_close(together[row], front_end(x[row : row + 1])[0])


@pytest.mark.parametrize("samples", [1, 64, 128])
def test_log_mel_of_less_than_half_a_window_is_that_of_the_padded_clip(samples: int) -> None:
    x = waves(1, samples)
    got = FrontEnd(SMALL)(x)
    padded = torch.nn.functional.pad(x, (0, 129 - samples))
    assert got.shape == (1, 20, samples // 80 + 1)
    torch.testing.assert_close(got, FrontEnd(SMALL)(padded)[..., : got.shape[2]])


def test_silence_lies_exactly_on_the_log_floor() -> None:
    floor = torch.tensor(FBANK.log_offset).log()
    assert (FrontEnd(FBANK)(torch.zeros(1, 4000)) == floor).all()
    assert (FrontEnd(FBANK)(torch.full((1, 4000), 0.3)) == floor).all()
    assert (FrontEnd(SMALL)(torch.zeros(1, 4000)) == torch.tensor(SMALL.log_offset).log()).all()


@pytest.mark.parametrize(
    "change",
    [
        {"f_min": 200.0},
        {"f_max": 3000.0},
        {"log_offset": 1e-2},
        {"win_length": 256},
        {"n_fft": 512},
        {"hop_length": 90},
        {"n_mels": 19},
        {"sample_rate": 7000},
        {"kind": "kaldi_fbank"},
    ],
)
def test_every_field_changes_the_features(change: dict[str, object]) -> None:
    base = {
        "sample_rate": 8000,
        "n_fft": 256,
        "win_length": 200,
        "hop_length": 80,
        "n_mels": 20,
        "clip_seconds": 0.5,
    }
    x = waves(1, 4000)
    other = FrontEnd(FrontEndConfig(**(base | change)))(x)
    reference = FrontEnd(SMALL)(x)
    assert other.shape != reference.shape or not torch.allclose(other, reference, atol=1e-2)


def test_the_front_end_saves_nothing_and_gives_no_gradient() -> None:
    front_end = FrontEnd(SMALL)
    assert not front_end.state_dict()
    assert not list(front_end.parameters())
    assert not front_end(waves(1, 4000).requires_grad_()).requires_grad


def test_half_precision_training_does_not_reach_the_features() -> None:
    x = waves(2, 4000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = FrontEnd(SMALL)(x)
    assert torch.equal(mixed, FrontEnd(SMALL)(x))


def test_the_input_is_left_alone() -> None:
    x = waves(2, 4000) + 0.5
    before = x.clone()
    FrontEnd(SMALL)(x)
    FrontEnd(FBANK)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (SMALL, (4000,)),
        (SMALL, (1, 1, 4000)),
        (SMALL, (1, 0)),
        (SMALL, (0, 4000)),
        (FBANK, (1, 199)),
    ],
)
def test_a_waveform_of_another_shape_is_refused(
    config: FrontEndConfig, shape: tuple[int, ...]
) -> None:
    with pytest.raises(AudioError, match="takes waveforms"):
        FrontEnd(config)(torch.zeros(shape))
