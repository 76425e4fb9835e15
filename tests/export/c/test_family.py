"""Every kind of student computes in C what it computes in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import halve, quantize
from aum_edge.export.c.generate import generate
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.storage.directory import payload_bytes
from tests.export.c.engine import compile_library, engine, noise, student

KINDS: dict[str, dict[str, Any]] = {
    "ssd": {},
    "ssd, separate, 2 frames a token, mean and maximum": {
        "sharing": "separate",
        "time_stride": 2,
        "pooling": "mean-max",
    },
    "ssd, backward and both, narrower than it was": {
        "directions": ("backward", "both"),
        "d_model": 12,
        "width": 16,
        "inner": (24, 32),
        "states": (3, 13),
    },
    "ssd, causal, odd sizes": {"bidirectional": False, "d_conv": 4, "n_mels": 43, "head_dim": 5},
    "ssd, patches, groups, a token a frame": {
        "stem": "patch",
        "frequency_groups": 4,
        "time_stride": 1,
    },
    "ssd, many states, one channel a head": {"head_dim": 1, "d_state": 29, "expand": 3},
    "s6": {"mixer": "s6"},
    "s6, separate, groups, layer norm": {
        "mixer": "s6",
        "sharing": "separate",
        "frequency_groups": 2,
        "norm": "layer",
    },
    "s6, one direction a block, last token": {
        "mixer": "s6",
        "directions": ("forward", "backward"),
        "pooling": "last",
    },
    "s6, separate, both and backward": {
        "mixer": "s6",
        "sharing": "separate",
        "directions": ("both", "backward"),
    },
    "s6, causal, patches, pruned": {
        "mixer": "s6",
        "bidirectional": False,
        "stem": "patch",
        "dt_ranks": (1, 3),
        "inner": (17, 33),
    },
    "no scan, patches of 2 frames, maximum": {
        "mixer": "none",
        "stem": "patch",
        "time_stride": 2,
        "n_mels": 9,
        "pooling": "max",
    },
    "no scan, causal, a token a frame": {
        "mixer": "none",
        "bidirectional": False,
        "time_stride": 1,
        "d_conv": 1,
    },
}
CLOSE = 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_program_is_the_student(kind: str, tmp_path: Path) -> None:
    model = student(**KINDS[kind])
    assert_equal(model, tmp_path)
    program = generate(model, "tiny")
    assert program.weight_bytes == payload_bytes(fold_batch_norm(model))[0]


@pytest.mark.parametrize("kind", list(KINDS)[::4])
def test_int8_weights(kind: str, tmp_path: Path) -> None:
    small = quantize(student(**KINDS[kind]), QuantizeConfig())
    assert_equal(small, tmp_path)
    assert generate(small, "tiny").weight_bytes == payload_bytes(small)[0]


@pytest.mark.parametrize("kind", list(KINDS)[1::6])
def test_int8_weights_with_half_scales(kind: str, tmp_path: Path) -> None:
    config = QuantizeConfig(float_dtype="float16", scale_dtype="float16")
    small = quantize(student(**KINDS[kind]), config)
    assert_equal(small, tmp_path)
    assert generate(small, "tiny").weight_bytes == payload_bytes(small)[0]


def test_half_weights(tmp_path: Path) -> None:
    assert_equal(halve(fold_batch_norm(student())), tmp_path)


@pytest.mark.parametrize("flags", [("-O2", "-DAUM_SCALAR"), ("-O2", "-march=native"), ("-O3",)])
def test_every_width_of_vectors(flags: tuple[str, ...], tmp_path: Path) -> None:
    model = student(mixer="s6", norm="layer")
    assert_equal(quantize(model, QuantizeConfig(float_dtype="float16")), tmp_path, *flags)


@pytest.mark.parametrize("flags", [("-O1",), ("-O2", "-march=native")])
def test_clang(flags: tuple[str, ...], tmp_path: Path) -> None:
    run = engine(student(), tmp_path, *flags, compiler="clang")
    clips = noise(student())
    with torch.inference_mode():
        np.testing.assert_allclose(run.features(clips), student()(clips), atol=CLOSE)


def test_more_tokens_than_a_tile_and_room_for_weights(tmp_path: Path) -> None:
    """Weights that do not fit into the room at once, more outputs than tiles are wide."""
    model = student(d_model=96, depth=1, d_state=16, n_frames=49, time_stride=2, expand=3)
    assert_equal(quantize(model, QuantizeConfig()), tmp_path)


def assert_equal(model: AudioClassifier, folder: Path, *flags: str) -> None:
    clips = noise(model)
    with torch.inference_mode():
        expected = model(clips).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    got = engine(model, folder, *flags).features(clips)
    np.testing.assert_allclose(got, expected, atol=CLOSE)


def test_a_separate_array_file_and_the_same_text_every_time(tmp_path: Path) -> None:
    small = quantize(student(), QuantizeConfig())
    first, again = (generate(small, "tiny", separate_weights=True) for _ in range(2))
    assert first == again
    assert first.weights is not None
    compile_library(first, tmp_path, "-O0")
