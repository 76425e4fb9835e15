"""Transposes and squeezes that undo each other leave the graph; others are joined or kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from aum_edge.export.onnx.passes import cancel_transposes
from aum_edge.runtimes.onnx import open_session

Op = tuple[str, list[int]]


def chain(ops: list[Op]) -> ir.Model:
    """X (2, 1, 3, 4) through operators and an Abs."""
    x = ir.val("x", ir.DataType.FLOAT, [2, 1, 3, 4])
    value, nodes, stored = x, [], []
    for index, (kind, numbers) in enumerate(ops):
        if kind == "Transpose":
            node = ir.node(kind, [value], {"perm": numbers})
        else:
            tensor = ir.tensor(np.array(numbers, np.int64), name=f"axes_{index}")
            axes = ir.val(f"axes_{index}", const_value=tensor, dtype=tensor.dtype, shape=(1,))
            stored.append(axes)
            node = ir.node(kind, [value, axes])
        nodes.append(node)
        value = node.outputs[0]
    nodes.append(ir.node("Abs", [value]))
    out = nodes[-1].outputs[0]
    out.name, out.type = "out", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        [x], [out], nodes=nodes, initializers=stored, opset_imports={"": 18}, name="chain"
    )
    return ir.Model(graph, ir_version=8)


@pytest.mark.parametrize(
    ("ops", "left"),
    [
        ([("Transpose", [1, 0, 3, 2]), ("Transpose", [1, 0, 3, 2])], []),
        ([("Transpose", [1, 2, 3, 0]), ("Transpose", [1, 2, 3, 0])], ["Transpose"]),
        ([("Squeeze", [1]), ("Unsqueeze", [1])], []),
        ([("Squeeze", [1]), ("Unsqueeze", [2])], ["Squeeze", "Unsqueeze"]),
        ([("Unsqueeze", [-1]), ("Squeeze", [-1])], ["Unsqueeze", "Squeeze"]),
        (
            [
                ("Squeeze", [1]),
                ("Transpose", [1, 0, 2]),
                ("Transpose", [1, 0, 2]),
                ("Unsqueeze", [1]),
            ],
            [],
        ),
    ],
)
def test_values_stay_and_pairs_go(ops: list[Op], left: list[str]) -> None:
    x = np.random.default_rng(1).standard_normal((2, 1, 3, 4)).astype(np.float32)
    model = chain(ops)
    before = open_session(ir.to_proto(model).SerializeToString()).run(None, {"x": x})[0]
    cancel_transposes(model.graph)
    ir.passes.common.RemoveUnusedNodesPass()(model)
    assert [node.op_type for node in model.graph] == [*left, "Abs"]
    after = open_session(ir.to_proto(model).SerializeToString()).run(None, {"x": x})[0]
    np.testing.assert_array_equal(after, before)


def test_an_s6_block_transposes_its_convolution_and_B_alone(exported: Callable[[str], Any]) -> None:
    nodes = onnx.load(exported("s6").report.path).graph.node
    kinds = Counter(node.op_type for node in nodes if node.name.startswith("/blocks.0/"))
    assert kinds["Transpose"] == 3
    assert kinds["Scan"] == 1
    assert not {"Reshape", "Squeeze", "Unsqueeze"} & kinds.keys()
    assert kinds.total() < 60
