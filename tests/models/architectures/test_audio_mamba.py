"""AuM: published sizes, token places and the behaviour of its options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from aum_edge.errors import AudioError
from aum_edge.models.architectures.audio_mamba import AudioMamba, class_index
from aum_edge.models.architectures.patches import patch_grid
from aum_edge.models.architectures.resize import resize_patch_kernel, resize_positions
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.quantized import replace_layer

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


def placed(network: AudioMamba, x: torch.Tensor) -> torch.Tensor:
    """The sequence that enters the first layer."""
    return network._tokens(network.embed(x), network.grid)


def unpooled(kind: str) -> dict[str, str]:
    return {"pooling": "mean"} if kind == "none" else {}


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
    assert class_index(replace(SMALL, class_token=kind, **unpooled(kind)), 6) == places
    tokens = placed(small(class_token=kind, **unpooled(kind)), torch.zeros(1, 1, 16, 12))
    assert tokens.shape[1] == 6 + len(places)


def test_time_order_keeps_each_patch_with_its_position() -> None:
    x = torch.randn(1, 1, 16, 12)
    by_frequency = placed(small(class_token="none", pooling="mean"), x)
    by_time = placed(small(class_token="none", pooling="mean", token_order="time"), x)
    torch.testing.assert_close(by_time, by_frequency[:, [0, 3, 1, 4, 2, 5]])


@pytest.mark.parametrize("kind", ["none", "first", "middle", "last", "double"])
def test_time_order_leaves_class_tokens_in_their_places(kind: Any) -> None:
    x = torch.randn(1, 1, 16, 12)
    by_frequency = placed(small(class_token=kind, **unpooled(kind)), x)
    by_time = placed(small(class_token=kind, token_order="time", **unpooled(kind)), x)
    places = list(class_index(replace(SMALL, class_token=kind, **unpooled(kind)), 6))
    torch.testing.assert_close(by_time[:, places], by_frequency[:, places])


def test_the_last_frames_that_fill_no_patch_are_dropped() -> None:
    network = small(n_frames=14)
    x = torch.randn(1, 1, 16, 14)
    y = x.clone()
    y[..., 12:] = 9.0
    torch.testing.assert_close(network(x), network(y))


@pytest.mark.parametrize("pooling", ["mean", "max", "last", "all"])
def test_pooling_without_class_token(pooling: Any) -> None:
    network = small(class_token="none", pooling=pooling)
    x = torch.randn(2, 1, 16, 12)
    tokens = network.encode(network.embed(x))
    rows = network.head(tokens)
    expected = {"mean": rows.mean(1), "max": rows.amax(1), "last": rows[:, -1], "all": rows}[
        pooling
    ]
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


def test_mean_pooling_leaves_the_class_tokens_out() -> None:
    x = torch.randn(2, 1, 16, 12)
    for kind, places in (("first", [0]), ("middle", [3]), ("double", [0, 7])):
        network = small(class_token=kind, pooling="mean")
        tokens = network.encode(network.embed(x))
        kept = [i for i in range(tokens.shape[1]) if i not in places]
        torch.testing.assert_close(network.features(x), tokens[:, kept].mean(1))


def test_without_classes_the_network_is_an_encoder() -> None:
    network = small(n_classes=0)
    x = torch.randn(2, 1, 16, 12)
    assert not hasattr(network, "head")
    torch.testing.assert_close(network(x), network.features(x))


def test_longer_features_stretch_the_positions() -> None:
    network = small()
    assert network(torch.randn(1, 1, 16, 48)).shape == (1, 3)
    plain = small(position_embedding=False)
    assert plain(torch.randn(1, 1, 16, 48)).shape == (1, 3)


def test_runtime_patches_equal_a_network_built_for_them() -> None:
    network = small()
    built = small(patch_size=(4, 4), stride=(4, 2))
    weights = network.state_dict()
    weights["patch_embed.proj.weight"] = resize_patch_kernel(
        weights["patch_embed.proj.weight"], (4, 4)
    )
    weights["pos_embed.pos_embed"] = resize_positions(
        weights["pos_embed.pos_embed"], 1, network.grid, built.grid
    )
    built.load_state_dict(weights)
    x = torch.randn(2, 1, 16, 12)
    torch.testing.assert_close(network(x, patch_size=(4, 4), stride=(4, 2)), built(x))


def test_audio_shorter_than_a_patch_is_named() -> None:
    with pytest.raises(AudioError, match="does not fit into 16 by 3"):
        small()(torch.zeros(1, 1, 16, 3))


def test_the_residual_stays_in_float32_under_autocast() -> None:
    layer = small().layers[0]
    with torch.autocast("cpu", torch.bfloat16):
        hidden, residual = layer(torch.randn(1, 4, 16).bfloat16(), None)
        assert residual.dtype == torch.float32
        assert layer(hidden, residual)[1].dtype == torch.float32


def test_runtime_patches_use_the_int8_weights_as_numbers() -> None:
    network, quantized = small(), small()
    layer = replace_layer(quantized, "patch_embed.proj")
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-127, 128, layer.weight.shape))
        layer.scale.fill_(1e-3)
        network.patch_embed.proj.weight.copy_(1e-3 * layer.weight)
    x = torch.randn(2, 1, 16, 12)
    torch.testing.assert_close(quantized(x, (4, 4)), network(x, (4, 4)))
