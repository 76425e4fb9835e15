from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from aum_edge.errors import ExportError, RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.onnx import OnnxClassifier


@pytest.fixture
def path(exported: Callable[[str], Any]) -> Path:
    return exported("cp").report.path


def identity(path: Path, name: str, props: dict[str, str]) -> Path:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in (name, "logits")]
    node = helper.make_node("Identity", [name], ["logits"])
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, props)
    onnx.save(model, path)
    return path


def test_reads_what_it_needs(
    path: Path, classifier: Callable[[str], AudioClassifier], clips: Tensor
) -> None:
    runner, model = OnnxClassifier(path), classifier("cp")
    assert runner.labels == ("cat", "dog", "sea")
    assert runner.frontend == model.frontend
    assert runner.normalization == model.normalization
    assert runner.metadata["architecture"] == "cp_mobile"
    logits = runner.logits(clips)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, model(clips).detach(), atol=1e-5, rtol=0)
    assert torch.equal(logits, runner.logits(clips.double().numpy()))


def test_description(path: Path) -> None:
    described = OnnxClassifier(path).describe()
    assert described["file"] == "cp.onnx"
    assert described["bytes"] == path.stat().st_size
    assert described["nodes"] == len(onnx.load(path).graph.node)
    assert described["scan"] == "none"
    assert described["load_ms"] > 0


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no file"):
        OnnxClassifier(tmp_path / "none.onnx")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000)])
def test_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"bad\.onnx"):
        OnnxClassifier(path)


def test_truncated(tmp_path: Path, path: Path) -> None:
    short = tmp_path / "short.onnx"
    short.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ExportError):
        OnnxClassifier(short)


def test_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="audio"):
        OnnxClassifier(identity(tmp_path / "a.onnx", "audio", {}))
    with pytest.raises(ExportError, match="metadata"):
        OnnxClassifier(identity(tmp_path / "b.onnx", "spectrogram", {"author": "x"}))
    damaged = {"aum_edge.version": "0.1.0", "labels": "[]", "frontend": '{"no": 1}'}
    with pytest.raises(ExportError, match="damaged"):
        OnnxClassifier(identity(tmp_path / "c.onnx", "spectrogram", damaged))


def test_an_onnxruntime_that_is_too_old_is_named(path: Path, tmp_path: Path) -> None:
    """A file of the future stands for any file that is newer than the runtime."""
    for change in ("opset", "ir"):
        model = onnx.load(path)
        if change == "opset":
            model.opset_import[0].version = 99
        else:
            model.ir_version = 99
        newer = tmp_path / f"{change}.onnx"
        newer.write_bytes(model.SerializeToString())
        with pytest.raises(ExportError, match=r"newer onnxruntime, or export with `--opset 18`"):
            OnnxClassifier(newer)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_reported_and_not_classified(path: Path, value: float) -> None:
    features = np.zeros((2, 1, 32, 17), dtype=np.float32)
    features[1, 0, 3, 4] = value
    with pytest.raises(ExportError, match="NaN or infinity"):
        OnnxClassifier(path).logits(features)


def test_threads(path: Path) -> None:
    with pytest.raises(RecipeError, match="threads"):
        OnnxClassifier(path, threads=0)


@pytest.mark.parametrize("shape", [(1, 32, 17), (2, 1, 17, 32), (1, 1, 32, 18), (0, 1, 32, 17)])
def test_wrong_features(path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ExportError, match="takes features"):
        OnnxClassifier(path).logits(np.zeros(shape, dtype=np.float32))
