"""ONNX files made to break counters: loops, branches, bodies, open sizes, unknown operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, checker, helper, save

from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.onnx.counter import count_onnx
from aum_edge.complexity.onnx.report import analyse_onnx
from aum_edge.errors import UnsupportedOperatorError

LIMITS = get_limits("dcase2025")


def graph_with(tmp_path: Path, nodes, inputs, outputs, stored=()) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(stored))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    checker.check_model(model)
    save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def value(name: str, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def loop_model(tmp_path: Path, trips: int | None) -> Path:
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["state", "state"], ["next"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [
            value("i", [], TensorProto.INT64),
            value("going", [], TensorProto.BOOL),
            value("state", [1, 6]),
        ],
        [value("on", [], TensorProto.BOOL), value("next", [1, 6])],
    )
    node = helper.make_node("Loop", ["trips", "", "x"], ["y"], body=body)
    stored = [helper.make_tensor("trips", TensorProto.INT64, [], [trips])] if trips else []
    inputs = [value("x", ["batch", 6])]
    if not trips:
        inputs.append(value("trips", [], TensorProto.INT64))
    return graph_with(tmp_path, [node], inputs, [value("y", ["batch", 6])], stored)


def test_loops_count_once_an_iteration(tmp_path: Path) -> None:
    assert count_onnx(loop_model(tmp_path, 5)).macs == 5 * 6


def test_loops_of_unknown_length_are_named(tmp_path: Path) -> None:
    counts = count_onnx(loop_model(tmp_path, None))
    assert counts.unsupported == {"Loop of unknown length": 1}


def test_the_dearer_branch_of_an_if_counts(tmp_path: Path) -> None:
    def branch(name: str, kinds: list[str]):
        nodes, last = [], "x"
        for i, kind in enumerate(kinds):
            nodes.append(helper.make_node(kind, [last, "x"], [f"{name}{i}"]))
            last = f"{name}{i}"
        return helper.make_graph(nodes, name, [], [value(last, [1, 6])])

    node = helper.make_node(
        "If",
        ["c"],
        ["y"],
        then_branch=branch("t", ["Add"]),
        else_branch=branch("e", ["Mul", "Mul"]),
    )
    path = graph_with(
        tmp_path,
        [node],
        [value("x", [1, 6]), value("c", [], TensorProto.BOOL)],
        [value("y", [1, 6])],
    )
    assert count_onnx(path).macs == 12


def test_peak_memory_of_a_graph_is_its_widest_moment(tmp_path: Path) -> None:
    big = helper.make_tensor("w", TensorProto.FLOAT, [4, 1000], [0.0] * 4000)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("ReduceSum", ["b"], ["y"]),
    ]
    path = graph_with(tmp_path, nodes, [value("x", ["n", 4])], [value("y", [1, 1])], [big])
    assert count_onnx(path).peak_activation_bytes == 2 * 4000


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = loop_model(tmp_path, 5)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UnsupportedOperatorError):
        count_onnx(path)


def test_open_sizes_beside_the_batch_are_said(tmp_path: Path) -> None:
    stored = [helper.make_tensor("w", TensorProto.FLOAT, [8, 8], [0.0] * 64)]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = graph_with(
        tmp_path, [node], [value("x", ["b", "t", 8])], [value("y", ["b", "t", 8])], stored
    )
    result = analyse_onnx(path, LIMITS)
    assert any("x axis 1 (t) is free" in line for line in result.warnings)
    assert result.to_dict()["open_axes"] == ["x axis 1 (t)"]


@pytest.mark.parametrize("length", ["t", -1, None])
def test_an_open_length_is_a_lower_bound_and_never_inside(tmp_path: Path, length) -> None:
    """-1 is how Paddle writes an open size."""
    stored = [helper.make_tensor("w", TensorProto.FLOAT, [8, 8], [0.0] * 64)]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    shape = [1, length, 8]
    graph = helper.make_graph([node], "g", [value("x", shape)], [value("y", shape)], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    save(model, tmp_path / "m.onnx")
    result = analyse_onnx(tmp_path / "m.onnx", LIMITS)
    assert result.counts.macs == 64
    assert result.input_shape == (1, 1, 8)
    assert result.to_dict()["within_limits"]["exact"] is None
    assert "at least 64 of 30,000,000 MACs" in str(result.verdict)
    over = analyse_onnx(tmp_path / "m.onnx", Limits(name="x", macs=63))
    assert over.to_dict()["within_limits"]["exact"] is False


def test_shapes_known_only_at_run_time_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Mul", ["r", "r"], ["y"]),
    ]
    inputs = [value("x", ["b", 8]), value("shape", [2], TensorProto.INT64)]
    path = graph_with(tmp_path, nodes, inputs, [value("y", ["p", "q"])])
    counts = count_onnx(path)
    assert (counts.macs, counts.unsupported) == (0, {"Mul of unknown shape": 1})


def test_bodies_hold_weights_and_shape_constants_are_none(tmp_path: Path) -> None:
    def branch(name: str):
        stored = [helper.make_tensor(f"{name}w", TensorProto.FLOAT, [6, 6], [0.0] * 36)]
        node = helper.make_node("MatMul", ["x", f"{name}w"], [f"{name}y"])
        return helper.make_graph([node], name, [], [value(f"{name}y", [1, 6])], stored)

    node = helper.make_node("If", ["c"], ["i"], then_branch=branch("t"), else_branch=branch("e"))
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, 6])
    nodes = [node, helper.make_node("Reshape", ["i", "shape"], ["y"])]
    inputs = [value("x", [1, 6]), value("c", [], TensorProto.BOOL)]
    path = graph_with(tmp_path, nodes, inputs, [value("y", [1, 6])], [shape])
    result = analyse_onnx(path, LIMITS)
    assert result.counts.macs == 36
    assert (result.n_params, result.sizes["param_bytes"]) == (72, 288)


@pytest.mark.parametrize("trips", [-5, 2**63 - 1])
def test_absurd_trip_counts(tmp_path: Path, trips: int) -> None:
    counts = count_onnx(loop_model(tmp_path, trips))
    assert counts.macs == 0
    assert trips < 0 or counts.unsupported == {"Loop of unknown length": 1}


@pytest.mark.parametrize(("equation", "macs"), [("bi,ij->bj", 24), ("bi->ib", 0), ("bi,bi->bi", 8)])
def test_einsum(tmp_path: Path, equation: str, macs: int) -> None:
    second = {"bi,ij->bj": [4, 3], "bi,bi->bi": [2, 1]}.get(equation)
    inputs = [value("x", [2, 4])] + ([value("z", second)] if second else [])
    out = {"bi,ij->bj": [2, 3], "bi->ib": [4, 2], "bi,bi->bi": [2, 4]}[equation]
    node = helper.make_node("Einsum", [v.name for v in inputs], ["y"], equation=equation)
    assert count_onnx(graph_with(tmp_path, [node], inputs, [value("y", out)])).macs == macs


def test_unknown_onnx_operators_are_named(tmp_path: Path) -> None:
    node = helper.make_node("Secret", ["x"], ["y"], domain="elsewhere")
    graph = helper.make_graph([node], "g", [value("x", [1, 4])], [value("y", [1, 4])])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)]
    save(helper.make_model(graph, opset_imports=opsets), tmp_path / "m.onnx")
    result = analyse_onnx(tmp_path / "m.onnx", LIMITS)
    assert result.counts.unsupported == {"elsewhere.Secret": 1}
