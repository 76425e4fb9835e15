"""How a selective scan is written in standard ONNX.

scan      the Scan operator over tokens; exp(delta A) and delta B u are made for all tokens outside
          when they are small, and inside its body when they would leave the cache
unrolled  Split, one Mul and one Add a token, Concat; the length must be fixed

Each function writes some lanes and gives (y (L, batch, G, 1, E/G), last state (batch, G, N, E/G))
for each of them. Scan runs a forward and a backward lane side by side in one operator with two
states, since a step's cost is mostly that of calling the body.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from aum_edge.errors import ExportError
from aum_edge.export import scan_layout as layout
from aum_edge.export.graph_writer import GraphWriter
from aum_edge.export.scan_op import Lane

CACHE_ELEMENTS = 1 << 18
"""State elements of a clip above which exp(delta A) is made inside the loop (1 MB)."""

Results = list[tuple[ir.Value, ir.Value]]


def unrolled(writer: GraphWriter, lanes: Sequence[Lane]) -> Results:
    """Every step as its own two nodes."""
    results = []
    for lane in lanes:
        if lane.length is None:
            raise ExportError("A scan of any number of tokens cannot be unrolled.")
        decays = _split(writer, layout.decay(writer, lane), lane.length)
        pushes = _split(writer, layout.push(writer, lane), lane.length)
        order = list(range(lane.length))
        if lane.reverse:
            order.reverse()
        state = pushes[order[0]]
        states = {order[0]: state}
        for t in order[1:]:
            state = writer.op("Add", writer.op("Mul", decays[t], state), pushes[t])
            states[t] = state
        stacked = writer.op("Concat", *(states[t] for t in range(lane.length)), axis=0)
        C = layout.states(writer, lane, lane.C, row=True)
        last = writer.op("Squeeze", state, writer.integers(0))
        results.append((writer.op("MatMul", C, stacked), last))
    return results


def scan(writer: GraphWriter, lanes: Sequence[Lane]) -> Results:
    """One Scan operator over the tokens of all lanes."""
    body = _Body(writer.scope)
    starts: list[ir.Value] = []
    rows: list[ir.Value] = []
    directions: list[int] = []
    for lane in lanes:
        starts.append(layout.zero_state(writer, lane))
        C = layout.states(writer, lane, lane.C, row=True)
        if lane.elements <= CACHE_ELEMENTS:
            inputs = [layout.decay(writer, lane), layout.push(writer, lane), C]
            body.add_small(lane)
        else:
            delta = layout.channels(writer, lane, lane.delta)
            B = layout.states(writer, lane, lane.B, row=False)
            inputs = [delta, layout.scaled_input(writer, lane), B, C]
            body.add_large(lane, layout.transition(writer, lane))
        rows += inputs
        directions += [int(lane.reverse)] * len(inputs)
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

    def add_small(self, lane: Lane) -> None:
        """H = decay h + push; y = C h."""
        state = self._value(lane.groups, lane.states, lane.width, "h")
        decay, push = (self._value(lane.groups, lane.states, lane.width, k) for k in ("a", "b"))
        self.slices += [decay, push]
        self._step(lane, state, decay, push)

    def add_large(self, lane: Lane, transition: ir.Value) -> None:
        """The same with decay = exp(delta A) and push = B (delta u) made here."""
        state = self._value(lane.groups, lane.states, lane.width, "h")
        delta, scaled = (self._value(lane.groups, 1, lane.width, k) for k in ("delta", "u"))
        B = self._value(lane.groups, lane.states, 1, "b")
        self.slices += [delta, scaled, B]
        decay = self._op("Exp", self._op("Mul", delta, transition))
        self._step(lane, state, decay, self._op("Mul", B, scaled))

    def graph(self) -> ir.Graph:
        """The finished body."""
        return ir.Graph(
            [*self.starts, *self.slices],
            [*self.ends, *self.outputs],
            nodes=self.nodes,
            name="token",
        )

    def _step(self, lane: Lane, state: ir.Value, decay: ir.Value, push: ir.Value) -> None:
        C = self._value(lane.groups, 1, lane.states, "c")
        self.slices.append(C)
        self.starts.append(state)
        end = self._op("Add", self._op("Mul", decay, state), push)
        y = self._op("MatMul", C, end)
        sizes: list[int | str] = ["batch", lane.groups, lane.states, lane.width]
        end.shape, y.shape = ir.Shape(sizes), ir.Shape(["batch", lane.groups, 1, lane.width])
        end.type = y.type = ir.TensorType(ir.DataType.FLOAT)
        self.ends.append(end)
        self.outputs.append(y)

    def _value(self, groups: int, rows: int, columns: int, name: str) -> ir.Value:
        shape: list[int | str] = ["batch", groups, rows, columns]
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
