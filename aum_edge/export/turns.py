"""Turns that undo each other are taken out of a graph: one layer turns back what the next turns."""

from __future__ import annotations

import onnx_ir as ir

INVERSE = {"Squeeze": "Unsqueeze", "Unsqueeze": "Squeeze"}


def cancel_turns(graph: ir.Graph) -> None:
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
