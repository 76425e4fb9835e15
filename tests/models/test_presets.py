"""Presets: sizes that the docs promise, budgets that the names promise."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.patches import patch_grid
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.presets import CONTROLS, PRESETS, STUDENTS, TEACHERS, preset
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig

LIMIT_BYTES = 128_000
needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="AST needs the transformers library"
)
LARGE = {"aum-base", "aum-small", "aum-tiny", "ast-base", "ast-small"}
QUICK = [
    pytest.param(name, marks=needs_transformers if name.startswith("ast-") else ())
    for name in sorted(PRESETS.keys() - LARGE)
]


def size_of(name: str, n_mels: int = 256, n_classes: int = 10) -> int:
    with torch.device("meta"):
        network = build(preset(name, n_classes=n_classes, n_mels=n_mels, n_frames=65))
    return sum(p.numel() for p in network.parameters())


def int8_bytes(name: str, n_mels: int) -> int:
    """Weights of projections in one byte and a float scale a channel; all else in four bytes."""
    with torch.device("meta"):
        network = build(preset(name, n_classes=10, n_mels=n_mels, n_frames=65, folded=True))
    total = 4 * sum(p.numel() for p in network.parameters())
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            total += 4 * module.weight.shape[0] - 3 * module.weight.numel()
    return total


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("aum-base", 91_365_898),
        ("aum-small", 25_168_138),
        ("aum-tiny", 6_833_290),
        ("aum-mini", 564_490),
        pytest.param("ast-base", 85_360_138, marks=needs_transformers),
        pytest.param("ast-small", 21_446_410, marks=needs_transformers),
        pytest.param("ast-tiny", 5_414_794, marks=needs_transformers),
        pytest.param("ast-mini", 867_978, marks=needs_transformers),
        ("student-ssd", 94_122),
        ("student-s6", 97_074),
        ("student-ssd-64k", 61_684),
        ("student-ssd-causal", 92_922),
        ("student-ssd-tiny", 15_788),
        ("cp-mobile", 61_148),
    ],
)
def test_documented_sizes(name: str, count: int) -> None:
    assert size_of(name) == count


@pytest.mark.parametrize("name", STUDENTS)
@pytest.mark.parametrize("n_mels", [64, 128, 256])
def test_students_fit_the_challenge_in_int8(name: str, n_mels: int) -> None:
    assert int8_bytes(name, n_mels) <= LIMIT_BYTES


@pytest.mark.parametrize("n_mels", [64, 128, 256])
def test_small_students_keep_what_their_names_say(n_mels: int) -> None:
    assert 2 * size_of("student-ssd-64k", n_mels) <= LIMIT_BYTES
    assert size_of("student-ssd-tiny", n_mels) <= 16_000


def test_mels_cost_what_the_docs_say() -> None:
    for name in STUDENTS:
        config = preset(name, n_classes=10, n_mels=256, n_frames=65)
        assert isinstance(config, MambaStudentConfig)
        growth = (256 - 128) // 8 * config.stem_channels[1] * config.d_model
        assert size_of(name, 256) - size_of(name, 128) == growth


@pytest.mark.parametrize("n_frames", [51, 65, 98, 101])
def test_the_laptop_teacher_has_few_tokens(n_frames: int) -> None:
    config = preset("aum-mini", n_classes=10, n_mels=128, n_frames=n_frames)
    assert isinstance(config, AudioMambaConfig)
    frequency, time = patch_grid(config)
    assert frequency == 8
    assert 7 <= time <= 8


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize(("n_mels", "n_frames"), [(64, 98), (40, 51)])
def test_presets_follow_the_front_end(name: str, n_mels: int, n_frames: int) -> None:
    config = preset(name, n_classes=5, n_mels=n_mels, n_frames=n_frames)
    assert build(config).eval()(torch.zeros(1, 1, n_mels, n_frames)).shape == (1, 5)


def test_every_preset_has_one_role() -> None:
    assert len(TEACHERS) + len(STUDENTS) + len(CONTROLS) == len(PRESETS)


def test_overrides_win() -> None:
    config = preset("student-ssd", n_classes=10, n_mels=128, n_frames=65, depth=2)
    assert isinstance(config, MambaStudentConfig)
    assert config.depth == 2


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("student-gru", {}, "no preset `student-gru`"),
        ("student-ssd", {"breadth": 3}, "no setting breadth"),
        ("student-ssd", {"depth": 0}, "`depth` must be at least 1"),
        ("aum-tiny", {"n_mels": 8}, "does not fit"),
    ],
)
def test_wrong_requests_are_refused(name: str, overrides: dict, words: str) -> None:
    sizes = {"n_classes": 10, "n_mels": 128, "n_frames": 65} | overrides
    with pytest.raises(RecipeError, match=words):
        preset(name, **sizes)
