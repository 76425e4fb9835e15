"""Labelling audio files hears what training heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.wav import write_wav
from aum_edge.data.features.cache import build_cache
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


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.315])
@pytest.mark.parametrize("frontend", [AUM, FrontEndConfig(sample_rate=8000, clip_seconds=0.4)])
def test_prediction_and_the_training_cache_make_the_same_features(
    tmp_path: Path, seconds: float, frontend: FrontEndConfig
) -> None:
    path = sound(tmp_path / "a.wav", seconds)
    manifest = make_manifest("m", [Clip(path=path, label="a", split="train")])
    stored = build_cache(manifest, frontend, tmp_path / "cache")["train"].features
    listener = Listener(frontend)
    assert "error" not in listener.predictor.label_file(path)
    np.testing.assert_allclose(listener.heard[:, 0].numpy(), stored, atol=1e-3)


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

    predictor = Predictor(("a", "b"), config, answer, hears="waveform")
    path = sound(tmp_path / "a.wav", 1.0)
    assert "error" not in predictor.label_file(path)
    assert heard[0].shape == (3, 3200)
    assert "NaN" in predictor.label_file(path)["error"]
    manifest = make_manifest("m", [Clip(path=path, label="a", split="train")])
    arrays = build_cache(manifest, config, tmp_path / "cache", True)["train"]
    found = waveforms_as_features(arrays, config).features[0]
    np.testing.assert_allclose(found, heard[0][0], atol=1e-3)


def test_padding_by_frames_is_not_inside_a_file(tmp_path: Path) -> None:
    listener = Predictor(("a", "b"), AUM, lambda x: torch.zeros(len(x), 2), hears="waveform")
    answer = listener.label_file(sound(tmp_path / "a.wav", 0.1))
    assert "padding: zero" in answer["error"]
    manifest = make_manifest(
        "m", [Clip(path=sound(tmp_path / "b.wav", 0.1), label="a", split="train")]
    )
    arrays = build_cache(manifest, AUM, tmp_path / "cache", True)["train"]
    with pytest.raises(AudioError, match="without --with-frontend"):
        waveforms_as_features(arrays, AUM)
