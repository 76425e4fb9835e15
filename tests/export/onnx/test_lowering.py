"""Graphs of opaque scans, lowered and run, against the recurrence in numpy."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from aum_edge.errors import ExportError
from aum_edge.export.onnx import scan_forms
from aum_edge.export.onnx.lowering import UNROLL_LIMIT, Form, lower
from aum_edge.export.onnx.scan_op import SCAN_DOMAIN
from aum_edge.runtimes.onnx import open_session

E, N = 6, 4


def recurrence(inputs: dict[str, np.ndarray], A: np.ndarray, reverse: bool) -> tuple:
    u, delta, B, C = (inputs[name].astype(np.float64) for name in ("u", "delta", "B", "C"))
    batch, length, channels = u.shape
    of_channel = np.repeat(np.arange(B.shape[2]), channels // B.shape[2])
    h = np.zeros((batch, channels, N))
    y = np.zeros_like(u)
    for t in range(length)[::-1] if reverse else range(length):
        push = (delta[:, t] * u[:, t])[:, :, None] * B[:, t, of_channel]
        h = np.exp(delta[:, t, :, None] * A) * h + push
        y[:, t] = (h * C[:, t, of_channel]).sum(-1)
    return y, h


def graph(length: int | str, groups: int, reverse: list[int], chained: bool = False) -> ir.Model:
    """Scans side by side, or each on the output of the one before; outputs y0, h0, y1, h1."""
    shapes = {
        "u": ("batch", length, E),
        "delta": ("batch", length, E),
        "B": ("batch", length, groups, N),
        "C": ("batch", length, groups, N),
    }
    inputs = {name: ir.val(name, ir.DataType.FLOAT, shape) for name, shape in shapes.items()}
    A = ir.val("A", const_value=ir.tensor(rates(), name="A"), shape=(E, N), dtype=ir.DataType.FLOAT)
    nodes: list[ir.Node] = []
    outputs: list[ir.Value] = []
    u = inputs["u"]
    for index, direction in enumerate(reverse):
        y = ir.val(f"y{index}", ir.DataType.FLOAT, shapes["u"])
        h = ir.val(f"h{index}", ir.DataType.FLOAT, ("batch", E, N))
        node = ir.node(
            "Scan",
            [u, inputs["delta"], A, inputs["B"], inputs["C"]],
            {"reverse": direction},
            domain=SCAN_DOMAIN,
            outputs=[y, h],
            name="/mixer/Scan",
        )
        nodes.append(node)
        outputs += [y, h]
        u = y if chained else u
    made = ir.Graph(
        list(inputs.values()),
        outputs,
        nodes=nodes,
        initializers=[A],
        opset_imports={"": 18, SCAN_DOMAIN: 1},
        name="test",
    )
    return ir.Model(made, ir_version=8)


def rates() -> np.ndarray:
    return -np.random.default_rng(5).uniform(0.1, 8, (E, N)).astype(np.float32)


def values(batch: int, length: int, groups: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    made = {
        "u": rng.standard_normal((batch, length, E)),
        "delta": rng.uniform(1e-3, 2, (batch, length, E)),
        "B": rng.standard_normal((batch, length, groups, N)),
        "C": rng.standard_normal((batch, length, groups, N)),
    }
    return {name: array.astype(np.float32) for name, array in made.items()}


def run(model: ir.Model, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return open_session(ir.to_proto(model).SerializeToString()).run(None, inputs)


def kinds(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize("form", ["scan", "scan-large", "unrolled"])
@pytest.mark.parametrize("reverse", [[0], [1], [0, 1]])
@pytest.mark.parametrize(("length", "groups", "batch"), [(5, 1, 1), (7, 2, 3), (1, 3, 2)])
def test_forms_equal_the_recurrence(
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    reverse: list[int],
    length: int,
    groups: int,
    batch: int,
) -> None:
    if form == "scan-large":
        monkeypatch.setattr(scan_forms, "CACHE_ELEMENTS", 0)
    model = graph(length, groups, reverse)
    name: Form = "unrolled" if form == "unrolled" else "scan"
    lower(model, name)
    inputs = values(batch, length, groups)
    got = run(model, inputs)
    for index, direction in enumerate(reverse):
        expected = recurrence(inputs, rates(), bool(direction))
        for have, want in zip(got[2 * index :], expected, strict=False):
            np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)
    assert kinds(model).count("Scan") == (name == "scan")
    needless = form == "scan-large" or (form == "unrolled" and length == 1)
    assert kinds(model).count("Exp") == (0 if needless else 1)


@pytest.mark.parametrize("form", ["scan", "unrolled"])
def test_scans_that_need_each_other_stay_in_order(form: Form) -> None:
    model = graph(4, 1, [0, 1], chained=True)
    lower(model, form)
    inputs = values(2, 4, 1)
    got = run(model, inputs)
    first, _ = recurrence(inputs, rates(), False)
    second, _ = recurrence({**inputs, "u": first}, rates(), True)
    np.testing.assert_allclose(got[2], second, rtol=1e-4, atol=1e-5)
    assert kinds(model).count("Scan") == (2 if form == "scan" else 0)


def test_unused_last_state_costs_nothing() -> None:
    model = graph(3, 1, [0])
    model.graph.outputs.pop()
    lower(model, "scan")
    assert "y0" not in {value.name for node in model.graph for value in node.inputs if value}
    assert kinds(model).count("Scan") == 1
    assert "Reshape" not in kinds(model)


def test_too_long_to_unroll() -> None:
    with pytest.raises(ExportError, match=str(UNROLL_LIMIT)):
        lower(graph(UNROLL_LIMIT + 1, 1, [0]), "unrolled")


def test_length_may_be_open_for_scan_alone() -> None:
    with pytest.raises(ExportError, match="cannot be unrolled"):
        lower(graph("time", 1, [0]), "unrolled")
    model = graph("time", 2, [0, 1])
    lower(model, "scan")
    for length in (1, 2, 9):
        inputs = values(2, length, 2)
        got = run(model, inputs)
        for index, reverse in enumerate((False, True)):
            y, last = recurrence(inputs, rates(), reverse)
            np.testing.assert_allclose(got[2 * index], y, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(got[2 * index + 1], last, rtol=1e-4, atol=1e-5)


def test_sizes_of_the_state_must_be_fixed() -> None:
    model = graph(3, 1, [0])
    model.graph.inputs[2].shape = ir.Shape(["batch", 3, "groups", N])
    with pytest.raises(ExportError, match="not fixed"):
        lower(model, "scan")
