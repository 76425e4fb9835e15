"""`model.predict` takes a path, a list of them, or samples with their rate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.io import read_audio
from aum_edge.audio.wav import write_wav
from aum_edge.errors import AudioError, CheckpointError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.predictor import open_predictor

FRONTEND = FrontEndConfig(
    sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=16, clip_seconds=0.5
)
LABELS = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def model() -> AudioClassifier:
    torch.manual_seed(1)
    config = preset("cp-mobile", n_classes=3, n_mels=16, n_frames=FRONTEND.n_frames)
    return AudioClassifier(
        build(config),
        frontend=FRONTEND,
        normalization=Normalization(mean=-6.0, std=3.0),
        labels=LABELS,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    x = 0.1 * np.random.default_rng(3).standard_normal((int(1.2 * 16000), 2))
    write_wav(tmp_path / "dog.wav", x, 16000)
    return tmp_path / "dog.wav"


def test_paths_lists_and_arrays_give_the_same_pairs(model: AudioClassifier, file: Path) -> None:
    model.train()
    pairs = model.predict(str(file))
    assert model.training, "the model is left as it was"
    assert sorted(label for label, _ in pairs) == sorted(LABELS)
    shares = [share for _, share in pairs]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert model.predict(file, top_k=2) == pairs[:2]
    assert model.predict([file, str(file)], top_k=1) == [pairs[:1], pairs[:1]]
    mono, rate = read_audio(file)
    assert model.predict(mono, sample_rate=rate) == pairs
    assert model.predict(torch.from_numpy(mono), sample_rate=rate) == pairs
    both = np.stack([mono, mono])
    assert model.predict([both], sample_rate=rate, top_k=3) == [pairs]


def test_a_directory_predicts_as_its_model(
    model: AudioClassifier, file: Path, tmp_path: Path
) -> None:
    save(model.eval(), tmp_path / "model")
    predictor = open_predictor(tmp_path / "model")
    answer = predictor.label_file(file)
    pairs = model.predict(file)
    assert answer["label"] == pairs[0][0]
    assert answer["probabilities"] == {label: round(share, 6) for label, share in pairs}
    assert predictor.labeller.predict([file]) == [pairs]


GOOD = np.full((1, 100), 0.1, np.float32)


@pytest.mark.parametrize(
    ("audio", "options", "message"),
    [
        (GOOD, {}, "pass `sample_rate=` in Hz"),
        ((GOOD * 100).astype(np.int16), {"sample_rate": 8000}, "floats within .*got int16"),
        (GOOD.T, {"sample_rate": 8000}, r"\(channels, samples\), got \(100, 1\): transpose"),
        (GOOD[None], {"sample_rate": 8000}, r"got \(1, 1, 100\)"),
        (GOOD[:, :0], {"sample_rate": 8000}, r"got \(1, 0\)"),
        (GOOD * np.nan, {"sample_rate": 8000}, "holds NaN"),
        (GOOD * 0, {"sample_rate": 8000}, "The array is silent"),
        (GOOD, {"sample_rate": 0}, "at least 1 Hz"),
        (GOOD, {"sample_rate": 8000, "top_k": 0}, "`top_k` must be at least 1"),
        (3.5, {}, "Audio is a path, a NumPy array or a tensor, got float"),
        ("no/such.wav", {}, "no/such.wav does not exist"),
    ],
)
def test_what_cannot_be_predicted_says_what_to_pass(
    model: AudioClassifier, audio, options: dict[str, int], message: str
) -> None:
    with pytest.raises(AudioError, match=message) as caught:
        model.predict(audio, **options)
    assert "\n" not in str(caught.value)


def test_an_encoder_has_nothing_to_predict() -> None:
    config = preset("aum-mini", n_classes=0, n_mels=16, n_frames=FRONTEND.n_frames)
    encoder = AudioClassifier(
        build(config), frontend=FRONTEND, normalization=Normalization(), labels=()
    )
    with pytest.raises(CheckpointError, match="encoder without classes"):
        encoder.predict(GOOD, sample_rate=8000)
