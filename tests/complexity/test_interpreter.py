"""Both counters against a plain interpreter that multiplies scalars one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aum_edge.complexity.onnx.agreement import differences
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.torch_counter import count
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.student_config import MambaStudentConfig
from tests.complexity import interpreter as plain
from tests.small_run import FRONTEND, student

TINY: dict[str, Any] = {"d_model": 6, "depth": 2, "d_state": 3, "head_dim": 4}
SIZES = {"n_classes": 3, "n_mels": 8, "n_frames": 12}


def student_of(**values: Any) -> MambaStudent:
    torch.manual_seed(2)
    config = MambaStudentConfig(**SIZES, stem_channels=(2, 3), folded=True, **(TINY | values))
    return MambaStudent(config).eval().double()


def teacher_of(**values: Any) -> AudioMamba:
    torch.manual_seed(2)
    config = AudioMambaConfig(
        **SIZES, patch_size=(4, 4), stride=(4, 2), d_model=6, depth=2, d_state=3, **values
    )
    return AudioMamba(config).eval().double()


def onnx_counts(module: nn.Module, x: torch.Tensor, path: Path):
    """The exported graph of any module, by torch's own exporter."""
    torch.onnx.export(module, (x,), path, dynamo=True, verbose=False)
    return count_onnx(path)


@pytest.mark.parametrize(
    ("channels", "outputs", "kernel", "stride", "padding", "groups"),
    [
        (2, 4, (3, 3), (1, 1), (0, 0), 1),
        (4, 4, (3, 2), (2, 1), (1, 1), 4),
        (4, 6, (1, 3), (1, 2), (0, 2), 2),
        (3, 5, (1, 1), (2, 2), (0, 0), 1),
    ],
)
def test_convolutions(channels, outputs, kernel, stride, padding, groups, tmp_path) -> None:
    layer = nn.Conv2d(channels, outputs, kernel, stride, padding, groups=groups).eval()
    x = torch.randn(1, channels, 7, 6)
    plain.start()
    pads = tuple((p, p) for p in padding)
    out = (
        plain.convolution(plain.numbers(x[0]), plain.numbers(layer.weight), stride, pads, groups)
        + plain.numbers(layer.bias)[:, None, None]
    )
    np.testing.assert_allclose(plain.values(out), layer(x)[0].detach(), atol=1e-5)
    assert count(layer, x).macs == plain.Number.macs
    assert onnx_counts(layer, x, tmp_path / "m.onnx").macs == plain.Number.macs


@pytest.mark.parametrize("kind", ["linear", "layer", "gate", "pool", "attention"])
def test_layers(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 5, 8)
    rows = plain.numbers(x[0])
    plain.start()
    layer: nn.Module
    if kind == "linear":
        layer = nn.Linear(8, 3)
        out = rows @ plain.numbers(layer.weight).T + plain.numbers(layer.bias)
    elif kind == "layer":
        layer = nn.LayerNorm(8)
        out = plain.layer_norm(rows, plain.numbers(layer.weight), plain.numbers(layer.bias), 1e-5)
    elif kind == "gate":
        layer = nn.SiLU()
        out = plain.silu(rows)
    elif kind == "pool":
        layer = nn.AvgPool1d(8)
        out = plain.mean(rows, -1)[:, None]
    else:
        layer = _Attention()
        weights = {n: plain.numbers(p) for n, p in layer.inner.named_parameters()}
        out = plain.attention(rows, weights, 2)
    np.testing.assert_allclose(plain.values(out), layer(x)[0].detach(), atol=1e-5)
    assert count(layer, x).macs == plain.Number.macs
    graph = onnx_counts(layer, x, tmp_path / "m.onnx")
    assert graph.macs == plain.Number.macs
    assert not graph.unsupported


class _Attention(nn.Module):
    """Attention as it is written out: two products, a scale and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.inner
        rows = F.linear(x, inner.in_proj_weight, inner.in_proj_bias)
        q, k, v = (part.unflatten(2, (2, 4)).transpose(1, 2) for part in rows.chunk(3, dim=2))
        weights = torch.softmax((q @ k.transpose(2, 3)) * 0.5, dim=-1)
        return inner.out_proj((weights @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("mixer", ["s6", "ssd"])
def test_whole_students(mixer: str, bidirectional: bool) -> None:
    network = student_of(mixer=mixer, bidirectional=bidirectional)
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    run = plain.Student(network.config, network.state_dict())
    features = plain.numbers(x[0, 0])
    plain.start()
    logits = run(features)
    np.testing.assert_allclose(plain.values(logits), network(x)[0].detach(), atol=1e-9)
    counts = count(network, x)
    assert counts.macs == plain.Number.macs
    assert counts.special_functions["sigmoid"] == plain.Number.special["sigmoid"]
    assert not counts.unsupported


@pytest.mark.parametrize("norm", ["rms", "layer"])
@pytest.mark.parametrize("direction", ["fo-fo", "bi-bi"])
def test_whole_teachers(direction: str, norm: str) -> None:
    network = teacher_of(direction=direction, norm=norm)
    x = torch.randn(1, 1, 8, 12, dtype=torch.float64)
    run = plain.Teacher(network.config, network.state_dict())
    features = plain.numbers(x[0, 0])
    plain.start()
    logits = run(features)
    np.testing.assert_allclose(plain.values(logits), network(x)[0].detach(), atol=1e-9)
    assert count(network, x).macs == plain.Number.macs


@pytest.mark.parametrize(
    "values",
    [
        {"mixer": "ssd"},
        {"mixer": "ssd", "bidirectional": False},
        {"mixer": "s6", "bidirectional": False},
    ],
    ids=str,
)
def test_the_exported_graph_agrees_to_the_mac(values: dict[str, Any], tmp_path: Path) -> None:
    model = student(**values).eval()
    clips = torch.randn(2, 1, FRONTEND.n_mels, FRONTEND.n_frames)
    export_onnx(model, tmp_path / "m.onnx", ExportConfig(scan="scan"), clips)
    counts = count(fold_batch_norm(model), model.example_input())
    assert differences(counts, count_onnx(tmp_path / "m.onnx")) == []


def test_where_the_graph_shares_work_it_is_named(tmp_path: Path) -> None:
    model = student(mixer="s6").eval()
    clips = torch.randn(2, 1, FRONTEND.n_mels, FRONTEND.n_frames)
    export_onnx(model, tmp_path / "m.onnx", ExportConfig(scan="scan"), clips)
    counts = count(fold_batch_norm(model), model.example_input())
    found = differences(counts, count_onnx(tmp_path / "m.onnx"))
    assert [row.module for row in found] == ["blocks.0.mixer", "blocks.1.mixer"]
    assert all("both directions share" in row.why for row in found)
    tokens, inner, states = 9, 32, 4
    assert found[0].torch - found[0].onnx == tokens * inner * (2 * states + 1)
