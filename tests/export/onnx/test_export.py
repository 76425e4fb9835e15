from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.torch_counter import count
from aum_edge.errors import ExportError, ParityError
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.onnx.export import ExportReport, export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import payload_bytes, save
from aum_edge.runtimes.contract import OPSETS
from aum_edge.runtimes.onnx import OnnxClassifier

Make = Callable[[str], AudioClassifier]


@dataclass(frozen=True)
class File:
    model: AudioClassifier
    report: ExportReport
    proto: onnx.ModelProto


@pytest.fixture(params=["s6", "s6-unrolled", "ssd", "cp", "aum", "s6-int8", "cp-float16"])
def file(request: pytest.FixtureRequest, exported: Callable[[str], Any]) -> File:
    made = exported(request.param)
    return File(made.model, made.report, onnx.load(made.report.path))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_plain_onnxruntime_gives_the_models_logits(file: File, clips: Tensor, batch: int) -> None:
    session = onnxruntime.InferenceSession(str(file.report.path))
    got = session.run(["logits"], {"spectrogram": clips[:batch].numpy()})[0]
    with torch.inference_mode():
        expected = file.model(clips[:batch])
    assert got.shape == (batch, 3)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_interface_and_opset(file: File) -> None:
    proto = file.proto
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 18)]
    assert proto.ir_version == 8
    for value, name, sizes in (
        (proto.graph.input[0], "spectrogram", ["batch", 1, 32, 17]),
        (proto.graph.output[0], "logits", ["batch", 3]),
    ):
        dims = value.type.tensor_type.shape.dim
        assert value.name == name
        assert [dim.dim_param or dim.dim_value for dim in dims] == sizes
    assert len(proto.graph.input) == len(proto.graph.output) == 1


def test_nodes_follow_modules_and_carry_no_traces(file: File) -> None:
    nodes = file.proto.graph.node
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    modules = {f"/{name}" for name in _scopes(file.model)}
    inside = [name.rpartition("/")[0] for name in names]
    assert {scope for scope in inside if scope} <= modules
    assert sum(bool(scope) for scope in inside) > 0.8 * len(inside)
    assert not any(node.metadata_props or node.doc_string for node in nodes)
    assert b"aum_edge/" not in file.report.path.read_bytes()
    assert not any(tensor.external_data for tensor in file.proto.graph.initializer)


def _scopes(model: AudioClassifier) -> set[str]:
    scopes = set()
    for name, _ in model.backbone.named_modules():
        parts: list[str] = []
        for part in name.split("."):
            if part.isdigit() and parts:
                parts[-1] += f".{part}"
            else:
                parts.append(part)
        scopes.add("/".join(parts))
    return scopes


def test_report_tells_the_truth(file: File) -> None:
    report = file.report
    data = report.path.read_bytes()
    assert report.bytes == len(data)
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert report.agreement == 1
    assert 0 <= report.max_abs_diff < 1e-5
    kinds = [node.op_type for node in file.proto.graph.node]
    scans = {"scan": kinds.count("Scan") == 1, "unrolled": "Scan" not in kinds}
    assert scans.get(report.scan, report.scan == "none" and "Scan" not in kinds)
    bodies = sum(
        len(a.g.node) for n in file.proto.graph.node for a in n.attribute if a.name == "body"
    )
    assert report.nodes == len(kinds) + bodies
    json.dumps(report.to_dict())


def test_metadata(file: File, tmp_path: Path) -> None:
    props = {entry.key: entry.value for entry in file.proto.metadata_props}
    model = file.model
    assert json.loads(props["labels"]) == ["cat", "dog", "sea"]
    assert json.loads(props["frontend"])["n_mels"] == 32
    assert json.loads(props["normalization"]) == {"mean": -4.0, "std": 2.5, "std_factor": 1.0}
    assert int(props["param_bytes"]) == payload_bytes(model)[0]
    assert int(props["n_params"]) == sum(p.numel() for p in model.parameters())
    assert int(props["macs"]) == count(model, model.example_input()).macs
    assert props["licence"] == "CC0"
    save(model, tmp_path / "model")
    stored = (tmp_path / "model" / "model.safetensors").read_bytes()
    assert props["source_sha256"] == hashlib.sha256(stored).hexdigest()


def test_other_counter_understands_the_graph(file: File) -> None:
    """Directions that share their inputs share exp(delta A) and delta B u in the graph."""
    ours = count(file.model, file.model.example_input())
    graph = count_onnx(file.report.path)
    assert not graph.unsupported
    assert 0.9 * ours.macs < graph.macs <= ours.macs


def test_batch_norms_are_folded(file: File) -> None:
    assert "BatchNormalization" not in {node.op_type for node in file.proto.graph.node}


@pytest.mark.parametrize("name", ["s6-int8", "cp-float16"])
def test_quantized_weights_stay_small(exported: Callable[[str], Any], name: str) -> None:
    made = exported(name)
    tensors = onnx.load(made.report.path).graph.initializer
    codes = [onnx.numpy_helper.to_array(t) for t in tensors if t.data_type == t.INT8]
    stored = [p for p in made.model.parameters() if p.dtype == torch.int8]
    assert len(codes) == len(stored)
    assert sorted(int(c.astype(int).sum()) for c in codes) == sorted(
        int(p.to(int).sum()) for p in stored
    )
    floats = sum(len(t.raw_data) for t in tensors if t.data_type != t.INT8)
    own_floats = payload_bytes(made.model)[0] - sum(p.numel() for p in stored)
    assert floats < own_floats + 800
    halves = [t for t in tensors if t.data_type == t.FLOAT16]
    assert bool(halves) == (name == "cp-float16")


def test_same_model_gives_the_same_file_and_is_left_alone(
    exported: Callable[[str], Any], classifier: Make, tmp_path: Path
) -> None:
    model = classifier("cp").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = export_onnx(model, tmp_path / "cp.onnx", extra={"licence": "CC0"})
    assert report.sha256 == exported("cp").report.sha256
    assert model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_the_automatic_form_does_not_unroll_deep_networks(
    tmp_path: Path, classifier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aum_edge.export.onnx.lowering.UNROLL_STEPS", 1)
    report = export_onnx(classifier("s6"), tmp_path / "auto.onnx", ExportConfig(scan="auto"))
    assert report.scan == "scan"


def test_newest_opset_and_automatic_form(tmp_path: Path, classifier: Make) -> None:
    config = ExportConfig(opset=OPSETS[-1])
    report = export_onnx(classifier("s6"), tmp_path / "auto.onnx", config)
    described = OnnxClassifier(report.path).describe()
    assert report.scan in ("scan", "unrolled")
    assert described["scan"] == report.scan
    assert described["opset"] == report.opset == OPSETS[-1]


def test_failed_parity_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, classifier: Make
) -> None:
    model = classifier("cp")
    with torch.no_grad():
        model.backbone.feed_forward[0].weight.fill_(float("nan"))
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with pytest.raises(ParityError):
        export_onnx(model, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class _Backbone(nn.Module):
    """A network with the config of another one."""

    def __init__(self, config: object) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Linear(17, 3)


class _FixedBatch(_Backbone):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.mean(dim=(1, 2))).reshape(len(x), 3)


class _NoSuchOperator(_Backbone):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.linalg.svdvals(x[:, 0]))


@pytest.mark.parametrize(
    ("kind", "words"), [(_FixedBatch, "batch size"), (_NoSuchOperator, "cannot become ONNX")]
)
def test_networks_that_cannot_be_exported(
    tmp_path: Path, classifier: Make, kind: type[_Backbone], words: str
) -> None:
    other = classifier("cp")
    model = other.with_backbone(kind(other.backbone.config), {"step": "test"})
    with pytest.raises(ExportError, match=words):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path: Path, classifier: Make) -> None:
    with pytest.raises(ExportError, match="folder"):
        export_onnx(classifier("cp"), tmp_path)
