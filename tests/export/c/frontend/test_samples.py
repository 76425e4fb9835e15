"""Raw samples in: whole clips, and streams in pieces of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aum_edge.audio.config import aum_fbank
from aum_edge.audio.frontend import FrontEnd
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.models.classifier import AudioClassifier
from tests.export.c.engine import Arena, Engine, engine, student

STREAMS: dict[str, dict[str, Any]] = {
    "ssd": {"d_conv": 4},
    "s6, patches": {"mixer": "s6", "stem": "patch", "pooling": "mean-max"},
    "no scan, a token a frame": {"mixer": "none", "time_stride": 1, "pooling": "last"},
}


def sound(model: AudioClassifier) -> np.ndarray:
    generator = np.random.default_rng(2)
    return 0.1 * generator.standard_normal(model.frontend.clip_samples, dtype=np.float32)


def expected(model: AudioClassifier, samples: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        features = FrontEnd(model.frontend)(torch.from_numpy(samples)[None])
        return model(features.unsqueeze(1)).numpy()[0]


def test_clips(tmp_path: Path) -> None:
    model = student()
    samples = sound(model)
    run = engine(model, tmp_path)
    np.testing.assert_allclose(run.samples(samples), expected(model, samples), atol=1e-5)
    # Nothing is left of a clip in the arena that the next one could hear.
    run.samples(np.full_like(samples, np.nan))
    np.testing.assert_allclose(run.samples(samples), expected(model, samples), atol=1e-5)


def test_features_that_depend_on_the_whole_clip(tmp_path: Path) -> None:
    model = student(mixer="s6", bidirectional=False)
    model.frontend = replace(model.frontend, clip_mean=True, range_db=60.0)
    samples = sound(model)
    run = engine(model, tmp_path)
    assert run.program.stream_bytes is None
    np.testing.assert_allclose(run.samples(samples), expected(model, samples), atol=1e-5)


def test_kaldi_features(tmp_path: Path) -> None:
    frontend = aum_fbank(clip_seconds=0.2)
    model = student(n_mels=128, n_frames=frontend.n_frames)
    model.frontend = frontend
    samples = sound(model)
    run = engine(model, tmp_path)
    np.testing.assert_allclose(run.samples(samples), expected(model, samples), atol=2e-5)


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_end_as_the_whole_clip(kind: str, tmp_path: Path) -> None:
    model = quantize(student(bidirectional=False, **STREAMS[kind]), QuantizeConfig())
    samples = sound(model)
    run = engine(model, tmp_path)
    heard, arena = streamed(run, samples)
    np.testing.assert_allclose(heard, expected(model, samples), atol=1e-5)
    arena.check()


def streamed(run: Engine, samples: np.ndarray) -> tuple[np.ndarray, Arena]:
    size = run.call("stream_size")
    assert size == run.program.stream_bytes
    arena = Arena(size)
    at = arena.address
    assert run.call("stream_init", at, size) == 0
    logits = np.zeros(run.classes, np.float32)
    assert run.call("result", at, logits) == 6
    generator = np.random.default_rng(0)
    first = 0
    while first < len(samples):
        count = int(generator.integers(0, 900))
        piece = samples[first : first + count].copy()
        assert run.call("push", at, piece, len(piece)) == 0
        first += count
    assert run.call("end", at) == 0
    assert run.call("result", at, logits) == 0
    return logits, arena


def test_streams_of_features(tmp_path: Path) -> None:
    model = student(bidirectional=False)
    run = engine(model, tmp_path)
    features = torch.randn(1, 1, 32, 17) * 2 - 4
    size = run.call("stream_size")
    arena = Arena(size)
    at = arena.address
    assert run.call("stream_init", at, size) == 0
    for frame in features[0, 0].T.numpy():
        assert run.call("push_features", at, frame.copy()) == 0
    logits = np.zeros(3, np.float32)
    assert run.call("result", at, logits) == 0
    with torch.inference_mode():
        np.testing.assert_allclose(logits, model(features)[0], atol=1e-5)
