"""Labelling audio files hears what training heard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from aum_edge.audio import frontend as frontend_module
from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.wav import write_wav
from aum_edge.data.features.cache import build_cache
from aum_edge.data.features.stream import stream_splits
from aum_edge.data.manifest import Clip, make_manifest
from aum_edge.errors import AudioError
from aum_edge.runtimes.predictor import Predictor, waveforms_as_features

AUM = aum_fbank(8000, n_frames=30)


class Listener:
    """Keeps the features it is asked about and answers with zeros."""

    def __init__(self, frontend: FrontEndConfig) -> None:
        self.predictor = Predictor(("a", "b"), frontend, self.answer)
        self.heard = torch.empty(0)

    def answer(self, features: Tensor) -> Tensor:
        self.heard = features
        return torch.zeros(len(features), 2)


def sound(path: Path, seconds: float) -> Path:
    samples = 0.2 * np.random.default_rng(1).standard_normal((round(seconds * 8000), 2)) + 0.1
    write_wav(path, samples, 8000)
    return path


LOG_MEL = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20)
FRONTENDS = {
    "log_mel": LOG_MEL,
    "log_mel-zero": replace(LOG_MEL, padding="zero", stft_padding="constant"),
    "log_mel-edge": replace(LOG_MEL, padding="edge", stft_padding="constant", power=1),
    "log_mel-clip": replace(LOG_MEL, clip_mean=True, range_db=60.0, channels="first"),
    "kaldi_fbank-audio": replace(AUM, padding="audio"),
    "kaldi_fbank-zero": AUM,
    "kaldi_fbank-edge": replace(AUM, padding="edge", channels="mean"),
}


@pytest.mark.parametrize("frontend", FRONTENDS.values(), ids=FRONTENDS)
@pytest.mark.parametrize(
    ("rate", "channels"), [(8000, 1), (16000, 2), (44100, 3), (11025, 2)], ids=str
)
@pytest.mark.parametrize("share", [0.4, 1.0])
def test_prediction_hears_what_the_training_cache_holds(
    tmp_path: Path, rate: int, channels: int, share: float, frontend: FrontEndConfig
) -> None:
    """Clips with a constant offset, padded and whole, at any rate: the same to the last bit."""
    count = round(share * frontend.clip_seconds * rate)
    samples = 0.2 * np.random.default_rng(1).standard_normal((count, channels)) + 0.3
    path = tmp_path / "a.wav"
    write_wav(path, samples, rate)
    manifest = make_manifest("m", [Clip(path=path, label="a", split="train")])
    stored = build_cache(manifest, frontend, tmp_path / "cache")["train"].features
    streamed = stream_splits(manifest, frontend)["train"].features[:1]
    np.testing.assert_array_equal(streamed, stored)
    listener = Listener(frontend)
    assert "error" not in listener.predictor.label_file(path)
    np.testing.assert_array_equal(listener.heard[:, 0].numpy(), stored)
    decoded, _ = soundfile.read(path, dtype="float32", always_2d=True)
    listener.predictor.labeller.predict(decoded.T, rate)
    np.testing.assert_array_equal(listener.heard[:, 0].numpy(), stored)


def test_the_front_end_is_built_once_a_process(tmp_path: Path, monkeypatch) -> None:
    built: list[FrontEndConfig] = []
    real = frontend_module.mel_filters
    monkeypatch.setattr(
        frontend_module, "mel_filters", lambda config: built.append(config) or real(config)
    )
    config = replace(LOG_MEL, n_mels=21)
    for name in "abc":
        path = sound(tmp_path / f"{name}.wav", 0.4)
        assert "error" not in Listener(config).predictor.label_file(path)
    manifest = make_manifest("m", [Clip(path=path, label="a", split="train")])
    _ = stream_splits(manifest, config)["train"].features[:1]
    assert built == [config]


def test_longer_audio_is_cut_and_a_rest_without_a_frame_left_out(tmp_path: Path) -> None:
    clip = AUM.clip_seconds
    for seconds, count in ((2.5 * clip, 3), (2 * clip + 0.01, 2), (2 * clip + 0.03, 3)):
        listener = Listener(AUM)
        listener.predictor.label_file(sound(tmp_path / "a.wav", seconds))
        assert len(listener.heard) == count
        assert listener.heard[-1].any()


def test_audio_without_a_frame_is_one_clear_line(tmp_path: Path) -> None:
    answer = Listener(AUM).predictor.label_file(sound(tmp_path / "a.wav", 0.02))
    assert "less than one window of 200" in answer["error"]


def test_a_front_end_inside_the_file_hears_waveforms(tmp_path: Path) -> None:
    config = FrontEndConfig(sample_rate=8000, clip_seconds=0.4)
    heard: list[Tensor] = []

    def answer(clips: Tensor) -> Tensor:
        heard.append(clips)
        return torch.full((len(clips), 2), float("nan") if len(heard) > 1 else 0.0)

    predictor = Predictor(("a", "b"), config, answer, input_name="waveform")
    path = sound(tmp_path / "a.wav", 1.0)
    assert "error" not in predictor.label_file(path)
    assert heard[0].shape == (3, 3200)
    assert "NaN" in predictor.label_file(path)["error"]
    manifest = make_manifest("m", [Clip(path=path, label="a", split="train")])
    arrays = build_cache(manifest, config, tmp_path / "cache", True)["train"]
    found = waveforms_as_features(arrays, config).features[0]
    np.testing.assert_allclose(found, heard[0][0], atol=1e-3)


def test_padding_by_frames_is_not_inside_a_file(tmp_path: Path) -> None:
    listener = Predictor(("a", "b"), AUM, lambda x: torch.zeros(len(x), 2), input_name="waveform")
    answer = listener.label_file(sound(tmp_path / "a.wav", 0.1))
    assert "padding: zero" in answer["error"]
    manifest = make_manifest(
        "m", [Clip(path=sound(tmp_path / "b.wav", 0.1), label="a", split="train")]
    )
    arrays = build_cache(manifest, AUM, tmp_path / "cache", True)["train"]
    with pytest.raises(AudioError, match="without --with-frontend"):
        waveforms_as_features(arrays, AUM)
