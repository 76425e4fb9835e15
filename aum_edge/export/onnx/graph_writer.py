"""Writer of new ONNX nodes in front of an old one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir


class GraphWriter:
    """Collects nodes and constants; ``insert_before`` puts them into the graph.

    The same operation on the same values is written once. The graph itself names the values.
    """

    def __init__(self, graph: ir.Graph, scope: str) -> None:
        self.graph = graph
        self.scope = scope
        self.nodes: list[ir.Node] = []
        self._known: dict[Any, Sequence[ir.Value]] = {}

    def op(self, kind: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """A node of one output."""
        return self.op_many(kind, inputs, 1, **attributes)[0]

    def op_many(
        self, kind: str, inputs: Sequence[ir.Value], outputs: int, **attributes: Any
    ) -> Sequence[ir.Value]:
        """A node of several outputs, named after the writer's scope."""
        key = (kind, tuple(map(id, inputs)), repr(attributes))
        if key not in self._known:
            node = ir.node(kind, list(inputs), attributes=attributes, num_outputs=outputs)
            node.name = f"{self.scope}/{kind}"
            self.nodes.append(node)
            self._known[key] = node.outputs
        return self._known[key]

    def integers(self, *values: int) -> ir.Value:
        """A one-dimensional int64 constant, shared with all equal ones."""
        name = "int64_" + "_".join(str(value).replace("-", "m") for value in values)
        return self.constant(name, np.array(values, dtype=np.int64))

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        """An initializer; one of the same name is used again."""
        if name not in self.graph.initializers:
            tensor = ir.tensor(array, name=name)
            value = ir.Value(
                name=name,
                shape=ir.Shape(array.shape),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            self.graph.register_initializer(value)
        return self.graph.initializers[name]

    def insert_before(self, node: ir.Node) -> None:
        """Put everything collected so far in front of ``node``."""
        self.graph.insert_before(node, self.nodes)
        self.nodes = []
