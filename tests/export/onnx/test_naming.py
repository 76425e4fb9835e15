from __future__ import annotations

import onnx_ir as ir
import pytest

from aum_edge.export.onnx.naming import SCOPES, module, name_nodes, number_nodes, scope


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("backbone.blocks.0.mixer.in_proj", "/blocks.0/mixer/in_proj"),
        ("backbone.stem.convs.1.0", "/stem/convs.1.0"),
        ("backbone", ""),
        ("", ""),
        ("blocks.11.norm", "/blocks.11/norm"),
    ],
)
def test_scope(path: str, expected: str) -> None:
    assert scope(path) == expected
    assert module(expected) == path.removeprefix("backbone").lstrip(".")


def test_nodes_and_weights_get_their_modules_names() -> None:
    weight = ir.val("backbone.head.weight", ir.DataType.FLOAT, (1,))
    weight.const_value = ir.tensor([1.0], name=weight.name)
    x = ir.val("x", ir.DataType.FLOAT, (1,))
    nodes = [ir.node("Mul", [x, weight])]
    nodes.append(ir.node("Mul", [nodes[0].outputs[0], weight]))
    for node in nodes:
        node.metadata_props[SCOPES] = "['', 'backbone', 'backbone.head', 'mul']"
    graph = ir.Graph(
        [x], nodes[1].outputs, nodes=nodes, initializers=[weight], opset_imports={"": 18}
    )
    name_nodes(graph)
    number_nodes(graph)
    number_nodes(graph)
    assert [node.name for node in nodes] == ["/head/Mul", "/head/Mul_1"]
    assert list(graph.initializers) == ["head.weight"]
    assert nodes[0].inputs[1] is graph.initializers["head.weight"]
