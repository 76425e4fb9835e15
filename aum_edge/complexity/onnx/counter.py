"""Exact MACs and special functions of an ONNX graph, independently of the torch counter.

Shapes come from ONNX's own inference with one input a batch; the body of a Scan or Loop counts
once an iteration, an If by its dearer branch. What has no rule or no shape is listed as
unsupported, never counted as zero.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from aum_edge.complexity.onnx.graph import (
    FRONT_END,
    constants,
    holds_front_end,
    inferred,
    outer_names,
    peak_activation_bytes,
    read_onnx,
    shapes_of,
    with_shapes,
)
from aum_edge.complexity.onnx.rules import FREE, RULES, Shape, Shapes, size_of
from aum_edge.complexity.torch_counter import OperatorCounts

FLOAT = onnx.TensorProto.FLOAT
ENDLESS = 1 << 40
"""Trips; a while loop states the largest integer there is."""


def count_onnx(path: str | Path, front_end: bool = False) -> OperatorCounts:
    """Count one input through an .onnx file.

    A front end that aum-edge put into the file is left out, as every challenge does, unless
    ``front_end`` is set.

    Raises:
        UnsupportedOperatorError: The file is not ONNX.
    """
    model = with_shapes(read_onnx(Path(path)))
    counter = _Counter(model, FRONT_END if holds_front_end(model) and not front_end else None)
    counter.graph(model, _Scope())
    counter.counts.peak_activation_bytes = peak_activation_bytes(model)
    return counter.counts


@dataclass(frozen=True)
class _Scope:
    """The scope of a graph: its repeats, the prefix of its names, tensors around it."""

    times: int = 1
    prefix: str = ""
    shapes: Shapes = field(default_factory=dict)
    constant: frozenset[str] = frozenset()


class _Counter:
    def __init__(self, model: ModelProto, left_out: str | None) -> None:
        self.counts = OperatorCounts()
        self.left_out = left_out
        self.values = constants(model.graph)

    def graph(self, model: ModelProto, scope: _Scope) -> None:
        """Add every node that runs when the model does."""
        shapes = scope.shapes | shapes_of(model.graph)
        constant = set(scope.constant) | set(constants(model.graph))
        for node in model.graph.node:
            names = [name for name in node.input if name]
            if names and all(name in constant for name in names) and not _bodies(node):
                constant.update(node.output)  # runs once at load time
                continue
            if self.left_out and node.name.startswith(self.left_out):
                continue
            here = _Scope(scope.times, scope.prefix, shapes, frozenset(constant))
            self.node(model, node, here)

    def node(self, model: ModelProto, node: NodeProto, scope: _Scope) -> None:
        """Add one node."""
        if node.op_type in ("Scan", "Loop", "If"):
            {"Scan": self.scan, "Loop": self.loop, "If": self.branch}[node.op_type](
                model, node, scope
            )
            return
        standard = node.domain in ("", "ai.onnx")
        name = node.op_type if standard else f"{node.domain}.{node.op_type}"
        if standard and name in FREE:
            return
        shapes = scope.shapes
        known = all(item in shapes for item in (*filter(None, node.input), node.output[0]))
        if name not in RULES or not known:
            self.counts.unsupported[name if name not in RULES else f"{name} of unknown shape"] += 1
            return
        try:
            cost = RULES[name](node, shapes)
        except (ValueError, KeyError, IndexError):
            self.counts.unsupported[f"{name} of unequal shapes"] += 1
            return
        times = scope.times
        self.counts.special_functions.update({k: n * times for k, n in cost.special.items()})
        self.counts.state_elements += cost.state_elements
        if cost.macs:
            self.counts.macs_by_op[name] += cost.macs * times
            layer = scope.prefix + (node.name or node.output[0])
            self.counts.layers.setdefault(layer, Counter())[name] += cost.macs * times

    def scan(self, model: ModelProto, node: NodeProto, scope: _Scope) -> None:
        """A body once a slice: its inputs are the states, then one slice of each scan input."""
        attributes = {a.name: a for a in node.attribute}
        slices = attributes["num_scan_inputs"].i
        axes = list(attributes["scan_input_axes"].ints) if "scan_input_axes" in attributes else []
        states = node.input[: len(node.input) - slices]
        rows = node.input[len(states) :]
        if any(name not in scope.shapes for name in node.input):
            self.counts.unsupported["Scan of unknown shape"] += 1
            return
        given = [scope.shapes[name] for name in states]
        trips = 1
        for name, axis in zip(rows, axes or [0] * slices, strict=True):
            shape = scope.shapes[name]
            trips = shape[axis]
            given.append(tuple(size for i, size in enumerate(shape) if i != axis % len(shape)))
        self.counts.state_elements += sum(size_of(shape) for shape in given[: len(states)])
        self.body(model, node, attributes["body"].g, given, trips, scope)

    def loop(self, model: ModelProto, node: NodeProto, scope: _Scope) -> None:
        """A body times its trip count, which has to be stored in the file."""
        count = self.values.get(node.input[0]) if node.input[0] else None
        going = self.values.get(node.input[1]) if node.input[1] else None
        known = all(name in scope.shapes for name in node.input[2:])
        trips = -1 if count is None else max(0, int(numpy_helper.to_array(count).reshape(-1)[0]))
        if going is not None and not numpy_helper.to_array(going).reshape(-1)[0]:
            trips = 0
        if not known or not 0 <= trips < ENDLESS:
            self.counts.unsupported["Loop of unknown length"] += 1
            return
        given: list[Shape] = [(), (), *(scope.shapes[name] for name in node.input[2:])]
        self.counts.state_elements += sum(size_of(shape) for shape in given[2:])
        graph = next(a.g for a in node.attribute if a.name == "body")
        self.body(model, node, graph, given, trips, scope)

    def branch(self, model: ModelProto, node: NodeProto, scope: _Scope) -> None:
        """The dearer branch of an If; what neither has a rule for is named."""
        before, branches = self.counts, []
        for attribute in node.attribute:
            self.counts = OperatorCounts()
            self.body(model, node, attribute.g, [], 1, scope)
            branches.append(self.counts)
        self.counts = before
        dearest = max(branches, key=lambda counts: counts.macs)
        before.macs_by_op.update(dearest.macs_by_op)
        before.special_functions.update(dearest.special_functions)
        before.state_elements += dearest.state_elements
        for name, operators in dearest.layers.items():
            before.layers.setdefault(name, Counter()).update(operators)
        for counts in branches:
            before.unsupported.update(counts.unsupported)

    def body(
        self,
        model: ModelProto,
        node: NodeProto,
        graph: GraphProto,
        given: list[Shape],
        trips: int,
        scope: _Scope,
    ) -> None:
        """Count an inner graph whose inputs have the ``given`` shapes, ``trips`` times."""
        inner = ModelProto()
        inner.CopyFrom(model)
        inner.graph.CopyFrom(graph)
        for value, shape in zip(inner.graph.input, given, strict=True):
            kind = value.type.tensor_type.elem_type or FLOAT
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, shape))
        for value in inner.graph.output:
            value.type.tensor_type.ClearField("shape")
        for name in outer_names(inner.graph):
            if name in scope.shapes:
                inner.graph.input.append(
                    onnx.helper.make_tensor_value_info(name, FLOAT, scope.shapes[name])
                )
        prefix = f"{scope.prefix}{node.name or node.output[0]}/"
        self.graph(
            inferred(inner), _Scope(scope.times * trips, prefix, scope.shapes, scope.constant)
        )


def _bodies(node: NodeProto) -> bool:
    return any(attribute.HasField("g") for attribute in node.attribute)
