"""Graph passes: masks over token pairs computed from positions; transposes cancelled.

At 64 tokens the masks of SSD would be a third of an int8 file. onnxruntime computes such nodes
once, when it loads the file, so they cost nothing where the table cost nothing.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from aum_edge.export.onnx.graph_writer import GraphWriter
from aum_edge.ssm.scan.ssd import MASKED

INVERSE = {"Squeeze": "Unsqueeze", "Unsqueeze": "Squeeze"}


def write_masks_out(graph: ir.Graph) -> None:
    """Replace every stored mask (dirs, 1, L, L) of the fused forwards, in place."""
    for value in list(graph.initializers.values()):
        shape = value.shape
        if value.const_value is None or shape is None or len(shape) != 4 or not value.uses():
            continue
        if shape[1] == 1 and shape[2] == shape[3] and value.dtype == ir.DataType.FLOAT:
            _write_out(graph, value, value.const_value.numpy())


def _write_out(graph: ir.Graph, value: ir.Value, array: np.ndarray) -> None:
    position = np.arange(array.shape[2], dtype=np.float32)
    gap = position[:, None] - position
    signs = np.where(array[:, :, :1, -1:] == 0, MASKED, -MASKED).astype(np.float32)
    if not np.array_equal(array, np.minimum(gap * signs, 0)):
        return
    writer = GraphWriter(graph, "")
    size = len(position)
    rows = writer.constant(f"places_{size}_rows", position[:, None])
    columns = writer.constant(f"places_{size}", position)
    sign = writer.constant("mask_" + "".join("+-"[int(s < 0)] for s in signs.flat), signs)
    hidden = writer.op("Mul", writer.op("Sub", rows, columns), sign)
    mask = writer.op("Min", hidden, writer.constant("zero", np.zeros((), np.float32)))
    mask.shape, mask.type = value.shape, value.type
    first = next(node for node in graph if value in node.inputs)
    ir.convenience.replace_all_uses_with(value, mask)
    writer.insert_before(first)
    if value.name is not None:
        del graph.initializers[value.name]


def cancel_transposes(graph: ir.Graph) -> None:
    """Join Transposes, and drop a Squeeze or Unsqueeze that undoes the one before, in place.

    What is no longer used stays, for the pass that removes unused nodes.
    """
    for node in list(graph):
        before = node.inputs[0].producer() if node.inputs and node.inputs[0] else None
        if before is None or before.graph is not graph:
            continue
        if node.op_type == before.op_type == "Transpose":
            _join(node, before)
        elif INVERSE.get(node.op_type) == before.op_type and _axes(node) == _axes(before) != ():
            _replace(node, before.inputs[0])


def _join(node: ir.Node, before: ir.Node) -> None:
    first, second = (_order(turn) for turn in (before, node))
    both = tuple(first[axis] for axis in second)
    if both == tuple(range(len(both))):
        _replace(node, before.inputs[0])
    else:
        node.attributes["perm"] = ir.AttrInt64s("perm", both)
        node.replace_input_with(0, before.inputs[0])


def _replace(node: ir.Node, value: ir.Value | None) -> None:
    if value is not None and not node.outputs[0].is_graph_output():
        ir.convenience.replace_all_uses_with(node.outputs[0], value)


def _order(node: ir.Node) -> tuple[int, ...]:
    return tuple(node.attributes["perm"].as_ints())


def _axes(node: ir.Node) -> tuple[int, ...]:
    """Axes of the side that has them; () if they are not known or counted from the end."""
    axes = node.inputs[1].const_value if len(node.inputs) > 1 and node.inputs[1] else None
    found = () if axes is None else tuple(int(axis) for axis in axes.numpy().ravel())
    return found if all(axis >= 0 for axis in found) else ()
