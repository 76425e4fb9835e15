"""Nothing of ours reports home, nor does what we use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SESSION = """
import sys
{first}
import onnx, onnxruntime
from onnx import TensorProto, helper

value = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["y"])],
    "g",
    [value("x", TensorProto.FLOAT, [1])],
    [value("y", TensorProto.FLOAT, [1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="where onnxruntime keeps its reports")
def test_onnxruntime_collects_nothing_beside_us(tmp_path: Path) -> None:
    kept = ("PATH", "SYSTEMROOT", "PYTHONPATH")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    code = SESSION.format(first="import aum_edge")
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name.lower()] == []
