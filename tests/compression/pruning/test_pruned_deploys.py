"""A pruned model is an ordinary model: it exports, quantizes, saves, and every count agrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aum_edge.audio.config import Normalization
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.torch_counter import count
from aum_edge.compression.pruning.cost import Cost, model_cost
from aum_edge.compression.pruning.sensitivity import cut
from aum_edge.compression.pruning.slicing import Removal
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import payload_bytes, save
from aum_edge.runtimes.onnx import OnnxClassifier
from tests.compression.pruning.prune_models import CONFIGS
from tests.small_run import FRONTEND, LABELS

NAMES = ("ssd-separate", "s6-separate", "none", "bi-bi")


def pruned(name: str) -> AudioClassifier:
    """A model that has lost a bit of everything it has."""
    torch.manual_seed(2)
    sizes = {"n_mels": FRONTEND.n_mels, "n_frames": FRONTEND.n_frames}
    model = AudioClassifier(
        build(replace(CONFIGS[name], **sizes)),
        frontend=FRONTEND,
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=LABELS,
    ).eval()
    units = {
        key: frozenset({group.units - 1})
        for key, group in model.backbone.pruning_groups().items()
        if group.units > group.minimum and key != (1, "direction")
    }
    return cut(model, Removal(units=units)).eval()


@pytest.mark.parametrize("name", NAMES)
def test_files_counts_and_answers_agree(name: str, tmp_path: Path) -> None:
    model = pruned(name)
    features = -2 + 3 * torch.randn(4, 1, FRONTEND.n_mels, FRONTEND.n_frames)
    with torch.inference_mode():
        expected = model(features)
    save(model, tmp_path / "float")
    again = load(tmp_path / "float")
    assert again.backbone.config == model.backbone.config
    with torch.inference_mode():
        assert torch.equal(again(features), expected)

    cost = model_cost(again)
    assert count(again, again.example_input()).macs == cost.macs
    if name == "s6-separate":
        _check_file(again, cost, tmp_path / "model.onnx")

    small = quantize(again, QuantizeConfig(method="max"))
    assert payload_bytes(small)[0] == cost.bytes
    save(small, tmp_path / "int8")
    assert payload_bytes(load(tmp_path / "int8"))[0] == cost.bytes


def _check_file(model: AudioClassifier, cost: Cost, path: Path) -> None:
    """The exported file answers as the model does, and counts what it counts."""
    features = -2 + 3 * torch.randn(4, 1, FRONTEND.n_mels, FRONTEND.n_frames)
    export_onnx(model, path)
    with torch.inference_mode():
        expected = model(features)
    assert (OnnxClassifier(path).logits(features) - expected).abs().max() < 1e-4
    # A file may spend less: constants are folded and products with one are left out.
    assert 0.95 * cost.macs < count_onnx(path).macs <= cost.macs
