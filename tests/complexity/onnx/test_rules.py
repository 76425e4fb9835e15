"""A counting rule for an ONNX operator of one's own is one function."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from onnx import NodeProto, TensorProto, helper, save

from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.onnx.rules import RULES, Shapes, onnx_rule, size_of
from aum_edge.complexity.torch_rules import OperatorCost

NAME = "tests.aum_edge.ScaledExp"


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in "xy")
    node = helper.make_node("ScaledExp", ["x"], ["y"], name="/exp", domain="tests.aum_edge")
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("tests.aum_edge", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=domains)
    save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def registered() -> Iterator[None]:
    @onnx_rule(NAME)
    def _scaled_exp(node: NodeProto, shapes: Shapes) -> OperatorCost:
        size = size_of(shapes[node.output[0]])
        return OperatorCost(size, {"exp": size})

    yield
    del RULES[NAME]


def test_an_operator_without_a_rule_is_named(graph: Path) -> None:
    counts = count_onnx(graph)
    assert (counts.macs, counts.unsupported) == (0, {NAME: 1})


@pytest.mark.usefixtures("registered")
def test_an_operator_is_counted_once_it_has_a_rule(graph: Path) -> None:
    counts = count_onnx(graph)
    assert counts.macs_by_op == {NAME: 6}
    assert counts.special_functions == {"exp": 6}
    assert counts.layers == {"/exp": {NAME: 6}}
    assert not counts.unsupported


@pytest.mark.parametrize("name", ["Mul", "Relu"])
def test_an_operator_has_one_rule(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has a counting rule already"):
        onnx_rule(name)(lambda node, shapes: OperatorCost())
