"""``aum_edge::Scan``: the selective scan as one node between capture and lowering."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import onnx
import onnx_ir as ir
from onnxscript.values import Op, Opset

from aum_edge.errors import ExportError

SCAN_DOMAIN = "aum_edge"
MANY = 1 << 16
"""Tokens that an open length is taken for where a form is chosen by size."""


def _operator() -> Op:
    schema = onnx.defs.OpSchema
    return Op(
        Opset(SCAN_DOMAIN, 1),
        "Scan",
        schema(
            "Scan",
            SCAN_DOMAIN,
            1,
            inputs=[schema.FormalParameter(name, "T") for name in ("u", "delta", "A", "B", "C")],
            outputs=[schema.FormalParameter(name, "T") for name in ("y", "last_state")],
            type_constraints=[("T", ["tensor(float)"], "float32")],
            attributes=[schema.Attribute("reverse", schema.AttrType.INT, "1: last token first")],
        ),
    )


_SCAN = _operator()


def translate(u: Any, delta: Any, A: Any, B: Any, C: Any, reverse: bool = False) -> Sequence[Any]:
    """The exporter's rule for ``torch.ops.aum_edge.scan``: one node, nothing expanded."""
    return _SCAN(u, delta, A, B, C, reverse=int(reverse))


@dataclass(frozen=True)
class Lane:
    """One opaque scan: one direction of one layer, and its sizes."""

    node: ir.Node
    length: int | None
    """Tokens; None where the graph leaves them open."""
    groups: int
    states: int
    width: int
    reverse: bool

    @property
    def u(self) -> ir.Value:
        """(batch, L, E)."""
        return self._input(0)

    @property
    def delta(self) -> ir.Value:
        """(batch, L, E), after softplus."""
        return self._input(1)

    @property
    def A(self) -> ir.Value:
        """(E, N)."""
        return self._input(2)

    @property
    def B(self) -> ir.Value:
        """(batch, L, G, N)."""
        return self._input(3)

    @property
    def C(self) -> ir.Value:
        """(batch, L, G, N)."""
        return self._input(4)

    def _input(self, index: int) -> ir.Value:
        """As it is now: it may be the output of a scan that was replaced before."""
        value = self.node.inputs[index]
        assert value is not None
        return value

    @property
    def elements(self) -> int:
        """States of one clip over all tokens; of an open length, of very many."""
        return (self.length or MANY) * self.groups * self.states * self.width


def find_lanes(graph: ir.Graph) -> list[Lane]:
    """Every opaque scan, in order.

    Raises:
        ExportError: If one has channels, states or groups that are not fixed.
    """
    return [_lane(node) for node in graph if node.domain == SCAN_DOMAIN]


def _lane(node: ir.Node) -> Lane:
    u, _, A, B, _ = node.inputs
    sizes = [_size(value, axis) for value, axis in ((A, 0), (A, 1), (B, 2))]
    fixed = [size for size in sizes if size is not None]
    if len(fixed) < len(sizes):
        raise ExportError(f"The scan {node.name} has sizes that are not fixed: {sizes}.")
    channels, states, groups = fixed
    length = _size(u, 1)
    reverse = bool(node.attributes.get_int("reverse", 0))
    return Lane(node, length, groups, states, channels // groups, reverse)


def _size(value: ir.Value | None, axis: int) -> int | None:
    size = None if value is None or value.shape is None else value.shape[axis]
    return size if isinstance(size, int) else None
