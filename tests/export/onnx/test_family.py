"""Every kind of student leaves torch with the same answers, at the cost that was counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from aum_edge.complexity.onnx.agreement import differences
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.torch_counter import count
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import export_onnx
from tests.small_run import student

KINDS: dict[str, dict[str, Any]] = {
    "no scan, patches, maximum": {
        "mixer": "none",
        "stem": "patch",
        "pooling": "max",
        "depth": 1,
    },
    "s6, separate, groups, layer norm": {
        "mixer": "s6",
        "sharing": "separate",
        "frequency_groups": 2,
        "norm": "layer",
        "depth": 1,
    },
    "ssd, separate, 2 frames a token, mean and maximum": {
        "sharing": "separate",
        "time_stride": 2,
        "pooling": "mean-max",
        "depth": 1,
    },
    "s6, one direction a block, last token": {
        "mixer": "s6",
        "directions": ("forward", "backward"),
        "pooling": "last",
    },
    "ssd, backward and both, narrower than it was": {
        "directions": ("backward", "both"),
        "d_model": 12,
        "width": 16,
        "inner": (24, 32),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_is_the_student(kind: str, tmp_path: Path) -> None:
    model = student(**KINDS[kind]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    report = export_onnx(model, tmp_path / "student.onnx", ExportConfig(scan="scan"))
    x = torch.randn(3, *model.example_input().shape[1:])
    session = onnxruntime.InferenceSession(str(report.path))
    got = session.run(["logits"], {"spectrogram": x.numpy()})[0]
    with torch.inference_mode():
        np.testing.assert_allclose(got, model(x), atol=2e-5)
    counted = count(model, model.example_input())
    graph = count_onnx(report.path)
    found = differences(counted, graph)
    config = model.backbone.config
    if config.mixer == "ssd" and config.sharing == "separate":
        # The graph adds the directions' matrices first and multiplies u by them once.
        tokens = -(-config.n_frames // config.time_stride)
        saved = [tokens**2 * inner for inner in config.block_inner]
        assert [row.torch - row.onnx for row in found] == saved
        assert all("another form" in row.why for row in found)
    else:
        assert found == []
    assert counted.macs - graph.macs == sum(row.torch - row.onnx for row in found)


@pytest.mark.parametrize("kind", KINDS)
def test_every_student_has_an_int8_form(kind: str) -> None:
    model = student(**KINDS[kind]).eval()
    small = quantize(model, QuantizeConfig())
    x = torch.randn(2, *model.example_input().shape[1:])
    with torch.inference_mode():
        error = (small(x) - model(x)).abs().max() / model(x).abs().max()
    assert 0 < float(error) < 0.1
