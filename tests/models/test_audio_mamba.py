"""AuM: published sizes, token places and the behaviour of its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from aum_edge.models.audio_mamba import AudioMamba, class_index, patch_grid
from aum_edge.models.config import AudioMambaConfig

SMALL = AudioMambaConfig(
    n_classes=3,
    n_mels=16,
    n_frames=12,
    patch_size=(8, 4),
    d_model=16,
    depth=2,
    d_state=4,
    direction="bi-bi",
)
PUBLISHED = [
    ({"d_model": 768, "direction": "fo-bi", "n_classes": 527}, 92_107_535),
    ({"d_model": 768, "direction": "fo-bi", "n_classes": 309}, 91_939_893),
    ({"d_model": 768, "direction": "fo-bi", "n_classes": 1251}, 92_664_291),
    ({"d_model": 768, "direction": "fo-bi", "n_classes": 35, "n_frames": 128}, 91_385_123),
    ({"d_model": 768, "direction": "fo-fo", "n_classes": 527}, 91_517_711),
    ({"d_model": 768, "direction": "bi-bi", "n_classes": 527}, 97_084_175),
    ({"d_model": 384, "direction": "bi-bi", "n_classes": 527}, 25_539_215),
    ({"d_model": 384, "direction": "bi-bi", "n_classes": 35, "n_frames": 128}, 25_177_763),
    ({"d_model": 384, "direction": "bi-bi", "n_classes": 44}, 25_353_260),
    ({"d_model": 384, "direction": "fo-fo", "n_classes": 527}, 23_640_719),
    ({"d_model": 384, "direction": "fo-bi", "n_classes": 527}, 23_935_631),
]


def small(**values: Any) -> AudioMamba:
    torch.manual_seed(1)
    return AudioMamba(replace(SMALL, **values)).eval()


@pytest.mark.parametrize(("values", "count"), PUBLISHED, ids=str)
def test_published_parameter_counts(values: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        network = AudioMamba(AudioMambaConfig(**values))
    assert sum(p.numel() for p in network.parameters()) == count


@pytest.mark.parametrize(
    ("size", "patch", "stride", "grid"),
    [
        ((128, 1024), (16, 16), None, (8, 64)),
        ((128, 128), (16, 16), (10, 10), (12, 12)),
        ((64, 65), (8, 16), (8, 16), (8, 4)),
    ],
)
def test_patch_grid(size: Any, patch: Any, stride: Any, grid: tuple[int, int]) -> None:
    config = replace(SMALL, n_mels=size[0], n_frames=size[1], patch_size=patch, stride=stride)
    assert patch_grid(config) == grid


@pytest.mark.parametrize(
    ("kind", "places"),
    [("none", ()), ("first", (0,)), ("middle", (3,)), ("last", (6,)), ("double", (0, 7))],
)
def test_class_token_places(kind: Any, places: tuple[int, ...]) -> None:
    assert class_index(replace(SMALL, class_token=kind), 6) == places
    tokens = small(class_token=kind)._tokens(torch.zeros(1, 1, 16, 12))
    assert tokens.shape[1] == 6 + len(places)


def test_time_order_keeps_each_patch_with_its_position() -> None:
    x = torch.randn(1, 1, 16, 12)
    by_frequency = small(class_token="none")._tokens(x)
    by_time = small(class_token="none", token_order="time")._tokens(x)
    torch.testing.assert_close(by_time, by_frequency[:, [0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize("kind", ["none", "first", "middle", "last", "double"])
def test_time_order_leaves_class_tokens_in_their_places(kind: Any) -> None:
    x = torch.randn(1, 1, 16, 12)
    by_frequency = small(class_token=kind)._tokens(x)
    by_time = small(class_token=kind, token_order="time")._tokens(x)
    places = list(class_index(replace(SMALL, class_token=kind), 6))
    torch.testing.assert_close(by_time[:, places], by_frequency[:, places])


def test_the_last_frames_that_fill_no_patch_are_dropped() -> None:
    network = small(n_frames=14)
    x = torch.randn(1, 1, 16, 14)
    y = x.clone()
    y[..., 12:] = 9.0
    torch.testing.assert_close(network(x), network(y))


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_pooling_without_class_token(pooling: Any) -> None:
    network = small(class_token="none", pooling=pooling)
    x = torch.randn(2, 1, 16, 12)
    tokens = network.norm_f(network._run(network._tokens(x)))
    rows = network.head(tokens)
    expected = {"mean": rows.mean(1), "max": rows.amax(1), "last": rows[:, -1]}[pooling]
    torch.testing.assert_close(network(x), expected)


def test_drop_path_spares_the_first_layer_and_eval_mode() -> None:
    network = small(drop_path=0.9)
    plain = small()
    x = torch.randn(8, 1, 16, 12)
    torch.testing.assert_close(network(x), plain(x))
    assert [layer.drop_path for layer in network.layers] == [0.0, 0.9]
    torch.manual_seed(0)
    assert not torch.allclose(network.train()(x), plain(x))


def test_every_parameter_gets_a_gradient() -> None:
    network = small(layer_scale=0.1).train()
    network(torch.randn(2, 1, 16, 12)).square().sum().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
