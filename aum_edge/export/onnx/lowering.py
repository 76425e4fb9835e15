"""Lowering of the opaque scan nodes of a captured graph to standard ONNX, in place."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import onnx_ir as ir

from aum_edge.errors import ExportError
from aum_edge.export.onnx import scan_forms
from aum_edge.export.onnx.config import ScanForm
from aum_edge.export.onnx.graph_writer import GraphWriter
from aum_edge.export.onnx.naming import number_nodes, scope_of
from aum_edge.export.onnx.passes import cancel_transposes
from aum_edge.export.onnx.scan_op import SCAN_DOMAIN, Lane, find_lanes
from aum_edge.runtimes.onnx import open_session

UNROLL_LIMIT = 128
"""Tokens; beyond, an unrolled graph is slower than Scan and slow to load."""
UNROLL_STEPS = 2000
"""Tokens of all scans together beyond which `auto` does not try to unroll: a teacher's graph would
take minutes to make and seconds to load."""
RUNS, WARM_UP = 60, 5

Form = Literal["scan", "unrolled"]
Writer = Callable[[GraphWriter, Sequence[Lane]], scan_forms.Results]


def lower(model: ir.Model, form: Form) -> None:
    """Replace every opaque scan by nodes of one form.

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
    cancel_transposes(model.graph)
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


def lowered(captured: ir.Model, wanted: ScanForm, example: np.ndarray) -> tuple[ir.Model, str]:
    """The captured model with its scans written out, and the name of the form they have.

    ``auto`` runs each possible form on ``example`` (1, 1, n_mels, n_frames), in turns, and keeps
    the one with the smaller median; long scans and deep networks are not unrolled. The name is
    ``none`` for a model without a scan.
    """
    lengths = [lane.length or UNROLL_STEPS + 1 for lane in find_lanes(captured.graph)]
    if not lengths:
        number_nodes(captured.graph)
        return captured, "none"
    names: list[Form] = ["scan", "unrolled"]
    if wanted != "auto":
        names = [wanted]
    elif max(lengths) > UNROLL_LIMIT or sum(lengths) > UNROLL_STEPS:
        names = ["scan"]
    models: dict[Form, ir.Model] = {}
    for name in names:
        models[name] = captured.clone()
        lower(models[name], name)
    best = names[0] if len(names) == 1 else _fastest(models, example)
    return models[best], best


def _fastest(models: dict[Form, ir.Model], example: np.ndarray) -> Form:
    sessions = {
        name: open_session(ir.to_proto(model).SerializeToString()) for name, model in models.items()
    }
    times: dict[Form, list[int]] = {name: [] for name in models}
    for run in range(WARM_UP + RUNS):
        for name, session in sessions.items():
            feed = {session.get_inputs()[0].name: example}
            started = time.perf_counter_ns()
            session.run(None, feed)
            if run >= WARM_UP:
                times[name].append(time.perf_counter_ns() - started)
    return min(times, key=lambda name: statistics.median(times[name]))
