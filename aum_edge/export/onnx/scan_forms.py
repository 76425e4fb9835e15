"""How a selective scan is written in standard ONNX.

scan      the Scan operator over tokens; exp(delta A), delta B u and C h are made for all tokens
          outside when they are small, and inside its body when they would leave the cache
unrolled  Split, one Mul and one Add a token, Concat; the length must be fixed

Each function writes some lanes and gives (y (L, batch, [G], 1, E/G), last state
(batch, [G], N, E/G)) for each of them. A forward and a backward lane run side by side, since a
step's cost is mostly that of calling its operators: as one state where they are small, as two of
one Scan where turning a lane would cost as much as a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from aum_edge.errors import ExportError
from aum_edge.export.onnx import scan_layout as layout
from aum_edge.export.onnx.graph_writer import GraphWriter
from aum_edge.export.onnx.scan_op import Lane

CACHE_ELEMENTS = 1 << 18
"""State elements of a clip, over all directions, above which exp(delta A) is made inside
the loop (1 MB)."""

Results = list[tuple[ir.Value, ir.Value]]


def unrolled(writer: GraphWriter, lanes: Sequence[Lane]) -> Results:
    """Every step as its own two nodes."""
    length = lanes[0].length
    if length is None:
        raise ExportError("A scan of any number of tokens cannot be unrolled.")
    decays, pushes = (_split(writer, value, length) for value in _side_by_side(writer, lanes))
    states = [pushes[0]]
    for decay, push in zip(decays[1:], pushes[1:], strict=True):
        states.append(writer.op("Add", writer.op("Mul", decay, states[-1]), push))
    stacked = writer.op("Concat", *states, axis=0)
    return _read(writer, lanes, stacked, writer.op("Squeeze", states[-1], writer.integers(0)))


def scan(writer: GraphWriter, lanes: Sequence[Lane]) -> Results:
    """One Scan operator over the tokens of all lanes."""
    body = _Body(writer.scope)
    if sum(lane.elements for lane in lanes) > CACHE_ELEMENTS:
        return _large(writer, lanes, body)
    width = sum(lane.width for lane in lanes)
    inputs = [layout.zero_state(writer, lanes[0], width), *_side_by_side(writer, lanes)]
    body.add_small(lanes[0], width)
    last, states = writer.op_many("Scan", inputs, 2, body=body.graph(), num_scan_inputs=2)
    return _read(writer, lanes, states, last)


def _side_by_side(writer: GraphWriter, lanes: Sequence[Lane]) -> tuple[ir.Value, ir.Value]:
    """Decay and push of all tokens, of all lanes along channels, each in its own order of tokens.

    A lane that begins at the last token is turned here and turned back when it is read, so that
    all of them are one state.
    """
    made: list[ir.Value] = []
    for make in (layout.decay, layout.push):
        parts = [make(writer, lane) for lane in lanes]
        for index, lane in enumerate(lanes):
            if lane.reverse:
                parts[index] = layout.backwards(writer, parts[index])
        made.append(parts[0] if len(parts) == 1 else writer.op("Concat", *parts, axis=-1))
    return made[0], made[1]


def _read(writer: GraphWriter, lanes: Sequence[Lane], states: ir.Value, last: ir.Value) -> Results:
    """Y = C h of each lane, of all tokens in one product; and its last state."""
    all_states, lasts = ([value] for value in (states, last))
    if len(lanes) > 1:
        widths = writer.integers(*(lane.width for lane in lanes))
        all_states, lasts = (
            list(writer.op_many("Split", [value, widths], len(lanes), axis=-1))
            for value in (states, last)
        )
    results = []
    for lane, own, end in zip(lanes, all_states, lasts, strict=True):
        in_order = layout.backwards(writer, own) if lane.reverse else own
        C = layout.states(writer, lane, lane.C, row=True)
        results.append((writer.op("MatMul", C, in_order), end))
    return results


def _large(writer: GraphWriter, lanes: Sequence[Lane], body: _Body) -> Results:
    """Nothing of the size of all states is kept: a step makes its own decay and push."""
    starts: list[ir.Value] = []
    rows: list[ir.Value] = []
    directions: list[int] = []
    for lane in lanes:
        starts.append(layout.zero_state(writer, lane, lane.width))
        delta = layout.channels(writer, lane, lane.delta)
        B = layout.states(writer, lane, lane.B, row=False)
        C = layout.states(writer, lane, lane.C, row=True)
        body.add_large(lane, layout.transition(writer, lane))
        rows += [delta, layout.scaled_input(writer, lane), B, C]
        directions += [int(lane.reverse)] * 4
    outputs = writer.op_many(
        "Scan",
        [*starts, *rows],
        2 * len(lanes),
        body=body.graph(),
        num_scan_inputs=len(rows),
        scan_input_directions=directions,
        scan_output_directions=[int(lane.reverse) for lane in lanes],
    )
    return list(zip(outputs[len(lanes) :], outputs[: len(lanes)], strict=True))


def _split(writer: GraphWriter, value: ir.Value, length: int) -> Sequence[ir.Value]:
    if length == 1:
        return [value]
    return writer.op_many("Split", [value], length, axis=0, num_outputs=length)


class _Body:
    """The body of one Scan: states first, then the slices of one token."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.count = 0
        self.starts: list[ir.Value] = []
        self.slices: list[ir.Value] = []
        self.nodes: list[ir.Node] = []
        self.ends: list[ir.Value] = []
        self.outputs: list[ir.Value] = []

    def add_small(self, lane: Lane, width: int) -> None:
        """H = decay h + push, for ``width`` channels; the states themselves are the output."""
        state, decay, push = (self._value(lane, lane.states, width, k) for k in "hab")
        self.starts, self.slices = [state], [decay, push]
        end = self._op("Add", self._op("Mul", decay, state), push)
        # onnxruntime carries no state whose value is an output too, and does not say so.
        kept = self._op("Identity", end)
        end.shape = kept.shape = state.shape
        end.type = kept.type = state.type
        self.ends, self.outputs = [end], [kept]

    def add_large(self, lane: Lane, transition: ir.Value) -> None:
        """H = exp(delta A) h + B (delta u); y = C h."""
        state = self._value(lane, lane.states, lane.width, "h")
        delta, scaled = (self._value(lane, 1, lane.width, name) for name in ("delta", "u"))
        B, C = self._value(lane, lane.states, 1, "b"), self._value(lane, 1, lane.states, "c")
        self.starts.append(state)
        self.slices += [delta, scaled, B, C]
        decay = self._op("Exp", self._op("Mul", delta, transition))
        push = self._op("Mul", B, scaled)
        end = self._op("Add", self._op("Mul", decay, state), push)
        y = self._op("MatMul", C, end)
        end.shape, y.shape = state.shape, delta.shape
        end.type = y.type = state.type
        self.ends.append(end)
        self.outputs.append(y)

    def graph(self) -> ir.Graph:
        """The finished body."""
        return ir.Graph(
            [*self.starts, *self.slices],
            [*self.ends, *self.outputs],
            nodes=self.nodes,
            name="token",
        )

    def _value(self, lane: Lane, rows: int, columns: int, name: str) -> ir.Value:
        shape: list[int | str] = ["batch", *layout.grouped(lane), rows, columns]
        return ir.val(self._name(name), ir.DataType.FLOAT, shape)

    def _op(self, kind: str, *inputs: ir.Value) -> ir.Value:
        node = ir.node(kind, list(inputs))
        node.name = node.outputs[0].name = self._name(kind)
        self.nodes.append(node)
        return node.outputs[0]

    def _name(self, kind: str) -> str:
        """Unique in the whole model: a body must not hide names of the graph around it."""
        self.count += 1
        return f"{self.scope}/token/{kind}_{self.count}"
