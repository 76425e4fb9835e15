"""Clips shorter and longer than AuM's target, and EPIC-SOUNDS features, against plain loops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from aum_edge.audio.clip import fit_samples, read_clip
from aum_edge.audio.config import FrontEndConfig, aum_fbank, epic_sounds_mel
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import AudioError, RecipeError
from tests.audio.test_frontend import plain_fbank, plain_filters

AUM = aum_fbank(16_000, n_frames=64)


def features(path: Path, config: FrontEndConfig) -> np.ndarray:
    """(n_mels, n_frames) as training and prediction make them, beside a clip of full length."""
    clip = read_clip(path, config)
    batch = torch.stack([fit_samples(x, config.clip_samples) for x in (clip, torch.ones(1))])
    return FrontEnd(config)(batch, torch.tensor([len(clip), config.clip_samples]))[0].numpy()


def write(path: Path, seconds: float, rate: int, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(3)
    samples = 0.1 * rng.standard_normal((round(seconds * rate), channels)) + 0.05
    samples[: len(samples) // 3] *= 0.1
    soundfile.write(path, samples, rate, subtype="DOUBLE", format="WAV")
    return samples


@pytest.mark.parametrize("seconds", [0.03, 0.3, 0.655, 0.6551, 0.9, 3.0])
def test_aum_pads_and_cuts_frames_and_not_audio(tmp_path: Path, seconds: float) -> None:
    samples = write(tmp_path / "a.wav", seconds, 16_000)
    # Upstream: mean over all channels and the whole recording, first channel, fbank, then fitting.
    whole = plain_fbank((samples - samples.mean())[:, 0], AUM)
    want = np.zeros((128, 64))
    kept = min(64, whole.shape[1])
    want[:, :kept] = whole[:, :kept]
    np.testing.assert_allclose(features(tmp_path / "a.wav", AUM), want, atol=2e-3)


def test_padding_becomes_upstreams_constant_once_normalised(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 0.3, 16_000)
    padded = features(tmp_path / "a.wav", AUM)[:, 40:]
    assert (padded - -4.2677393) / (2 * 4.5689974) == pytest.approx(0.46703, abs=1e-5)


def plain_epic(x: np.ndarray, config: FrontEndConfig) -> np.ndarray:
    """librosa's STFT of magnitudes with zeros outside, mel filters in Hz, then edge padding."""
    half = config.n_fft // 2
    x = np.pad(x[: config.clip_samples], half)
    window = np.zeros(config.n_fft)
    left = (config.n_fft - config.win_length) // 2
    n = np.arange(config.win_length)
    window[left : left + config.win_length] = 0.5 - 0.5 * np.cos(2 * np.pi * n / config.win_length)
    filters = plain_filters(config, 2595 / np.log(10), in_hz=True)
    columns = []
    for at in range(0, len(x) - config.n_fft + 1, config.hop_length):
        magnitude = np.abs(np.fft.rfft(x[at : at + config.n_fft] * window))
        columns.append(np.log(filters @ magnitude + 1e-6))
    missing = config.n_frames - len(columns)
    return np.pad(np.stack(columns, axis=1), ((0, 0), (0, max(0, missing))), mode="edge")


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.275, 0.4])
def test_epic_sounds_features_equal_the_plain_loop(tmp_path: Path, seconds: float) -> None:
    config = epic_sounds_mel(n_frames=56)
    samples = write(tmp_path / "a.wav", seconds, 24_000, channels=1)
    got = features(tmp_path / "a.wav", config)
    assert got.shape == (128, 56)
    np.testing.assert_allclose(got, plain_epic(samples[:, 0], config), atol=2e-3)


def test_presets_are_the_published_settings() -> None:
    assert aum_fbank(16_000, n_frames=1024).n_frames == 1024
    assert aum_fbank(16_000, n_frames=128).clip_samples == 127 * 160 + 400
    epic = epic_sounds_mel()
    assert (epic.n_frames, epic.n_mels, epic.n_fft, epic.power) == (1024, 128, 2048, 1)
    asc = FrontEndConfig()
    assert (asc.sample_rate, asc.n_fft, asc.win_length, asc.hop_length) == (32_000, 4096, 3072, 500)
    assert (asc.n_mels, asc.log_offset, asc.n_frames) == (256, 1e-5, 65)


def test_lengths_do_nothing_where_padding_is_heard(tmp_path: Path) -> None:
    config = replace(AUM, padding="audio")
    x = torch.randn(2, config.clip_samples, generator=torch.Generator().manual_seed(0))
    front_end = FrontEnd(config)
    assert torch.equal(front_end(x), front_end(x, torch.tensor([500, 9000])))


def test_the_first_channel_or_the_mean(tmp_path: Path) -> None:
    samples = write(tmp_path / "a.wav", 0.655, 16_000)
    first = read_clip(tmp_path / "a.wav", AUM).numpy()
    mean = read_clip(tmp_path / "a.wav", replace(AUM, channels="mean")).numpy()
    np.testing.assert_allclose(first, samples[:, 0] - samples[:, 0].mean(), atol=1e-6)
    np.testing.assert_allclose(mean, samples.mean(1) - samples.mean(), atol=1e-6)


def test_a_clip_shorter_than_one_window_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", 0.02, 16_000)
    with pytest.raises(AudioError, match=r"a\.wav gives 320 samples at 16000 Hz, less than one"):
        read_clip(tmp_path / "a.wav", AUM)
    assert len(read_clip(tmp_path / "a.wav", replace(AUM, padding="audio"))) == 320


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"padding": "wrap"}, "`padding` must be one of audio, zero, edge; got 'wrap'"),
        ({"padding": "zero"}, "needs `stft_padding: constant`"),
        ({"power": 3}, "`power` must be one of 1, 2; got 3"),
        ({"channels": "left"}, "`channels` must be one of mean, first"),
        ({"stft_padding": "edge"}, "`stft_padding` must be one of reflect, constant"),
    ],
)
def test_settings_that_do_not_exist_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        FrontEndConfig(**change)


def test_the_key_of_an_older_front_end_did_not_change() -> None:
    assert "padding" not in FrontEndConfig().key()
    assert AUM.key()["padding"] == "zero"
    assert AUM.key() != replace(AUM, channels="mean").key()
