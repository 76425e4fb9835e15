"""A whole AST against the scalar interpreter, and against its exported graph."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aum_edge.audio.config import Normalization
from aum_edge.complexity.onnx.agreement import differences
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.torch_counter import count
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AstConfig
from aum_edge.models.registry import build
from tests.complexity import interpreter as plain
from tests.small_run import FRONTEND, LABELS

pytest.importorskip("transformers", reason="AST needs the transformers library")

error_function = plain.special("erf", lambda x: 1 + math.erf(x / math.sqrt(2)))


def network_of(n_mels: int = 8, n_frames: int = 12, **values):
    torch.manual_seed(4)
    config = AstConfig(
        n_classes=3,
        n_mels=n_mels,
        n_frames=n_frames,
        patch_size=(4, 4),
        stride=(4, 2),
        d_model=6,
        d_hidden=10,
        depth=2,
        n_heads=2,
        **values,
    )
    network = build(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def block(x, w, name: str, heads: int):
    def norm(which: str):
        return plain.layer_norm(x, w[f"{name}.{which}.weight"], w[f"{name}.{which}.bias"], 1e-6)

    def linear(rows, which: str):
        return rows @ w[f"{name}.{which}.weight"].T + w[f"{name}.{which}.bias"]

    joined = {
        f"in_proj_{kind}": np.concatenate([w[f"{name}.attention.{c}_proj.{kind}"] for c in "qkv"])
        for kind in ("weight", "bias")
    }
    joined |= {f"out_proj.{k}": w[f"{name}.attention.o_proj.{k}"] for k in ("weight", "bias")}
    x = x + plain.attention(norm("layernorm_before"), joined, heads)
    hidden = linear(norm("layernorm_after"), "mlp.fc1")
    return x + linear(hidden * 0.5 * error_function(hidden), "mlp.fc2")


def run(network, features):
    w = {name: plain.numbers(tensor) for name, tensor in network.state_dict().items()}
    config = network.config
    plain.start()
    kernel = w["patch_embed.proj.weight"]
    patches = plain.convolution(features[None], kernel, config.stride)
    rows = patches.reshape(config.d_model, -1).T + w["patch_embed.proj.bias"]
    x = np.concatenate([w["cls_tokens"][0], rows]) + w["pos_embed.pos_embed"][0]
    for index in range(config.depth):
        x = block(x, w, f"layers.{index}", config.n_heads)
    x = plain.layer_norm(x, w["layernorm.weight"], w["layernorm.bias"], 1e-6)
    pooled = plain.mean(x[: config.class_tokens] if config.pooling == "class" else x[2:], 0)
    return pooled @ w["head.weight"].T + w["head.bias"]


@pytest.mark.parametrize("pooling", ["class", "mean"])
def test_whole_transformers(pooling: str) -> None:
    network = network_of(pooling=pooling).double()
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    logits = run(network, plain.numbers(x[0, 0]))
    np.testing.assert_allclose(plain.values(logits), network(x)[0].detach(), atol=1e-9)
    counts = count(network, x)
    assert counts.macs == plain.Number.macs
    for name in ("exp", "erf"):
        assert counts.special_functions[name] == plain.Number.special[name]
    assert not counts.unsupported


def test_without_memory_nothing_is_unknown() -> None:
    network = network_of()
    x = torch.zeros(1, 1, 8, 12)
    counts = count(network.to("meta"), x.to("meta"))
    assert not counts.unsupported
    tokens, d_model, heads = 12, 6, 2
    here = count(network_of(), x)
    # Without memory torch scales queries and keys instead of the scores.
    scaled = network.config.depth * tokens * (2 * d_model - heads * tokens)
    assert counts.macs - here.macs == scaled


def test_the_exported_graph_differs_only_in_where_scores_are_scaled(tmp_path) -> None:
    network = network_of(FRONTEND.n_mels, FRONTEND.n_frames)
    model = AudioClassifier(
        network,
        frontend=FRONTEND,
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=LABELS,
    ).eval()
    report = export_onnx(model, tmp_path / "m.onnx")
    assert report.scan == "none"
    assert report.max_abs_diff < 1e-5
    found = differences(count(model, model.example_input()), count_onnx(tmp_path / "m.onnx"))
    assert [row.module for row in found] == ["layers.0.attention", "layers.1.attention"]
    assert all("scales queries and keys" in row.why for row in found)
    tokens, d_model, heads = 2 + network.grid[0] * network.grid[1], 6, 2
    assert found[0].torch - found[0].onnx == tokens * (heads * tokens - 2 * d_model)
