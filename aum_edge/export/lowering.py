"""The opaque scan nodes of a captured graph become standard ONNX, in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import onnx_ir as ir

from aum_edge.errors import ExportError
from aum_edge.export import scan_forms
from aum_edge.export.graph_writer import GraphWriter
from aum_edge.export.naming import number_nodes, scope_of
from aum_edge.export.scan_op import SCAN_DOMAIN, Lane, find_lanes
from aum_edge.export.turns import cancel_turns

UNROLL_LIMIT = 128
"""Tokens; beyond, an unrolled graph is slower than Scan and slow to load."""

Form = Literal["scan", "unrolled"]
Writer = Callable[[GraphWriter, Sequence[Lane]], scan_forms.Results]


def lower(model: ir.Model, form: Form) -> None:
    """Replace every opaque scan by nodes of the form asked for.

    Raises:
        ExportError: If a scan's length is free, or too long to unroll.
    """
    lanes = find_lanes(model.graph)
    longest = max((lane.length or UNROLL_LIMIT + 1 for lane in lanes), default=0)
    if form == "unrolled" and longest > UNROLL_LIMIT:
        raise ExportError(
            f"A scan of more than {UNROLL_LIMIT} tokens, or of any number of them, cannot be "
            "unrolled: export with the scan form `scan`."
        )
    for group in _pairs(lanes):
        _replace(model.graph, group, getattr(scan_forms, form))
    cancel_turns(model.graph)
    model.graph.sort()
    ir.passes.common.RemoveUnusedNodesPass()(model)
    ir.passes.common.CommonSubexpressionEliminationPass()(model)
    number_nodes(model.graph)
    model.opset_imports.pop(SCAN_DOMAIN, None)


def _replace(graph: ir.Graph, lanes: Sequence[Lane], write: Writer) -> None:
    writer = GraphWriter(graph, scope_of(lanes[0].node))
    for lane, (y, last) in zip(lanes, write(writer, lanes), strict=True):
        channels = lane.groups * lane.width
        if lane.groups == 1:
            rows = writer.op("Squeeze", y, writer.integers(2))
        else:
            rows = writer.op("Reshape", y, writer.integers(0, 0, channels))
        new = [writer.op("Transpose", rows, perm=[1, 0, 2])]
        old, old_last = lane.node.outputs
        new[0].shape, new[0].type = old.shape, old.type
        if old_last.uses() or old_last.is_graph_output():
            order = [0, 1, 3, 2] if lane.groups > 1 else [0, 2, 1]
            flat = writer.op("Transpose", last, perm=order)
            shape = writer.integers(-1, channels, lane.states)
            new.append(writer.op("Reshape", flat, shape))
        ir.convenience.replace_all_uses_with(
            lane.node.outputs[: len(new)], new, replace_graph_outputs=True
        )
    writer.insert_before(lanes[-1].node)
    graph.remove([lane.node for lane in lanes], safe=True)


def _pairs(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """Neighbours of one layer, one forward and one backward, that do not need each other."""
    groups: list[list[Lane]] = []
    for lane in lanes:
        last = groups[-1] if groups else []
        if (
            len(last) == 1
            and last[0].reverse != lane.reverse
            and last[0].length == lane.length
            and scope_of(last[0].node) == scope_of(lane.node)
            and not _depends(lane.node, last[0].node)
        ):
            last.append(lane)
        else:
            groups.append([lane])
    return groups


def _depends(node: ir.Node, on: ir.Node) -> bool:
    """Whether ``node`` uses a result of ``on``, directly or through others."""
    seen: set[ir.Node] = set()
    waiting = [node]
    while waiting:
        for before in waiting.pop().predecessors():
            if before is on:
                return True
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return False
