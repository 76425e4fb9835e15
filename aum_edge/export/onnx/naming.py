"""Node names that follow module paths, so that viewers and profilers group them.

``blocks.0.mixer.in_proj`` is the scope ``/blocks.0/mixer/in_proj``; its nodes are
``/blocks.0/mixer/in_proj/MatMul`` and so on.
"""

from __future__ import annotations

import ast
import re
from collections import Counter

import onnx_ir as ir

SCOPES = "pkg.torch.onnx.name_scopes"
BACKBONE = "backbone."
"""The classifier's network; its weights have no such prefix in the model directory either."""


def scope(module: str) -> str:
    """The scope of a module path."""
    path = module.removeprefix(BACKBONE.rstrip(".")).removeprefix(".")
    return "".join(f"/{part}" for part in re.split(r"\.(?!\d)", path) if part)


def module(scope: str) -> str:
    """The module path of a scope: the inverse of :func:`scope`."""
    return scope.strip("/").replace("/", ".")


def scope_of(node: ir.Node) -> str:
    """The scope of a node."""
    return node_scope(node.name or "")


def node_scope(name: str) -> str:
    """The scope in a node's name."""
    return name.rpartition("/")[0]


def name_nodes(graph: ir.Graph) -> None:
    """Name the exporter's nodes and weights after their modules.

    Scopes that start with an underscore are the exporter's own word for "no module".
    """
    for node in graph:
        scopes = ast.literal_eval(node.metadata_props.get(SCOPES, "['']"))
        home = scopes[-2] if len(scopes) > 1 else ""
        node.name = f"{'' if home.startswith('_') else scope(home)}/{node.op_type}"
    for value in list(graph.initializers.values()):
        if value.name and value.name.startswith(BACKBONE):
            graph.initializers.pop(value.name)
            value.name = value.name.removeprefix(BACKBONE)
            graph.register_initializer(value)


def number_nodes(graph: ir.Graph) -> None:
    """Make names unique in every scope: MatMul, MatMul_1, ... in the order of the graph."""
    seen: Counter[str] = Counter()
    for node in graph:
        name = f"{scope_of(node)}/{node.op_type}"
        node.name = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
