"""A scan's inputs in the layout its loop wants: (token, batch, group, state, channel).

Tokens come first so that a step's slice is one piece of memory; channels come last so that every
elementwise operation runs along them.
"""

from __future__ import annotations

import onnx_ir as ir

from aum_edge.export.graph_writer import GraphWriter
from aum_edge.export.scan_op import Lane


def channels(writer: GraphWriter, lane: Lane, value: ir.Value) -> ir.Value:
    """U or delta, (batch, L, E), as (L, batch, G, 1, E/G)."""
    moved = writer.op("Transpose", value, perm=[1, 0, 2])
    return writer.op("Reshape", moved, writer.integers(0, 0, lane.groups, 1, lane.width))


def states(writer: GraphWriter, lane: Lane, value: ir.Value, row: bool) -> ir.Value:
    """B or C, (batch, L, G, N), as (L, batch, G, N, 1), or (L, batch, G, 1, N) as a row."""
    moved = writer.op("Transpose", value, perm=[1, 0, 2, 3])
    return writer.op("Unsqueeze", moved, writer.integers(-2 if row else -1))


def transition(writer: GraphWriter, lane: Lane) -> ir.Value:
    """A, (E, N), as (G, N, E/G)."""
    if lane.A.const_value is not None:
        array = lane.A.const_value.numpy().reshape(lane.groups, lane.width, lane.states)
        return writer.constant(f"{lane.A.name}_by_state", array.transpose(0, 2, 1).copy())
    grouped = writer.op("Reshape", lane.A, writer.integers(lane.groups, lane.width, lane.states))
    return writer.op("Transpose", grouped, perm=[0, 2, 1])


def decay(writer: GraphWriter, lane: Lane) -> ir.Value:
    """exp(delta A) of all tokens: (L, batch, G, N, E/G)."""
    delta = channels(writer, lane, lane.delta)
    return writer.op("Exp", writer.op("Mul", delta, transition(writer, lane)))


def scaled_input(writer: GraphWriter, lane: Lane) -> ir.Value:
    """Delta u of all tokens: (L, batch, G, 1, E/G)."""
    return channels(writer, lane, writer.op("Mul", lane.delta, lane.u))


def push(writer: GraphWriter, lane: Lane) -> ir.Value:
    """Delta B u of all tokens: (L, batch, G, N, E/G)."""
    B = states(writer, lane, lane.B, row=False)
    return writer.op("Mul", scaled_input(writer, lane), B)


def zero_state(writer: GraphWriter, lane: Lane) -> ir.Value:
    """Zeros (batch, G, N, E/G)."""
    batch = writer.op("Shape", lane.u, start=0, end=1)
    sizes = writer.integers(lane.groups, lane.states, lane.width)
    return writer.op("ConstantOfShape", writer.op("Concat", batch, sizes, axis=0))
