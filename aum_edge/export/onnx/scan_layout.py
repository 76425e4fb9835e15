"""A scan's inputs in the layout of its loop: (token, batch, group, state, channel).

Tokens come first so that a step's slice is one piece of memory; channels come last so that every
elementwise operation runs along them. Where there is one group, as in all our mixers, its axis is
left out: the shapes below have [G].
"""

from __future__ import annotations

import onnx_ir as ir

from aum_edge.export.onnx.graph_writer import GraphWriter
from aum_edge.export.onnx.scan_op import Lane


def channels(writer: GraphWriter, lane: Lane, value: ir.Value) -> ir.Value:
    """U or delta, (batch, L, E), as (L, batch, [G], 1, E/G)."""
    moved = writer.op("Transpose", value, perm=[1, 0, 2])
    if lane.groups == 1:
        return writer.op("Unsqueeze", moved, writer.integers(2))
    return writer.op("Reshape", moved, writer.integers(0, 0, lane.groups, 1, lane.width))


def states(writer: GraphWriter, lane: Lane, value: ir.Value, row: bool) -> ir.Value:
    """B or C, (batch, L, G, N), as (L, batch, [G], N, 1), or (L, batch, [G], 1, N) as a row."""
    if lane.groups == 1:
        return writer.op("Transpose", value, perm=[1, 0, 2, 3] if row else [1, 0, 3, 2])
    moved = writer.op("Transpose", value, perm=[1, 0, 2, 3])
    return writer.op("Unsqueeze", moved, writer.integers(-2 if row else -1))


def transition(writer: GraphWriter, lane: Lane) -> ir.Value:
    """A, (E, N), as ([G], N, E/G)."""
    sizes = [*grouped(lane), lane.width, lane.states]
    order = [0, 2, 1] if lane.groups > 1 else [1, 0]
    if lane.A.const_value is not None:
        array = lane.A.const_value.numpy().reshape(sizes)
        return writer.constant(f"{lane.A.name}_by_state", array.transpose(order).copy())
    rates = writer.op("Reshape", lane.A, writer.integers(*sizes))
    return writer.op("Transpose", rates, perm=order)


def grouped(lane: Lane) -> list[int]:
    """The axis of groups, if there is one."""
    return [lane.groups] if lane.groups > 1 else []


def decay(writer: GraphWriter, lane: Lane) -> ir.Value:
    """exp(delta A) of all tokens: (L, batch, [G], N, E/G)."""
    delta = channels(writer, lane, lane.delta)
    return writer.op("Exp", writer.op("Mul", delta, transition(writer, lane)))


def scaled_input(writer: GraphWriter, lane: Lane) -> ir.Value:
    """Delta u of all tokens: (L, batch, [G], 1, E/G)."""
    delta, u = (channels(writer, lane, value) for value in (lane.delta, lane.u))
    return writer.op("Mul", delta, u)


def push(writer: GraphWriter, lane: Lane) -> ir.Value:
    """Delta B u of all tokens: (L, batch, [G], N, E/G)."""
    B = states(writer, lane, lane.B, row=False)
    return writer.op("Mul", scaled_input(writer, lane), B)


def zero_state(writer: GraphWriter, lane: Lane, width: int) -> ir.Value:
    """Zeros (batch, [G], N, width); of the graph's own batch, so that all layers share one."""
    batch = writer.op("Shape", writer.graph.inputs[0], start=0, end=1)
    sizes = writer.integers(*grouped(lane), lane.states, width)
    return writer.op("ConstantOfShape", writer.op("Concat", batch, sizes, axis=0))


def backwards(writer: GraphWriter, value: ir.Value) -> ir.Value:
    """Last token first."""
    last, end = writer.integers(-1), writer.integers(-(2**62))
    return writer.op("Slice", value, last, end, writer.integers(0), last)
