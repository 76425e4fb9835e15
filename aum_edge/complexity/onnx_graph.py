"""Reading an ONNX file and the shapes of its tensors for one input."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, shape_inference

from aum_edge.complexity.onnx_rules import Shape, Shapes
from aum_edge.errors import UnsupportedOperatorError


def read_onnx(path: Path) -> ModelProto:
    """Parse a file.

    Raises:
        UnsupportedOperatorError: If it is missing, not ONNX, or holds no graph.
    """
    try:
        model = onnx.load(path)
    except (DecodeError, OSError) as error:
        raise UnsupportedOperatorError(
            f"{path} is missing or not an ONNX file: {error}."
        ) from error
    if not model.graph.input or not model.graph.node:
        raise UnsupportedOperatorError(f"{path} is not an ONNX file, or an empty one.")
    return model


def with_shapes(model: ModelProto) -> ModelProto:
    """A copy whose tensors have shapes, every free dimension being 1."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param or not dim.HasField("dim_value"):
                dim.dim_value = 1
    return inferred(fixed)


def inferred(model: ModelProto) -> ModelProto:
    """ONNX's own shape inference, from the inputs alone."""
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, data_prop=True)


def shapes_of(graph: GraphProto) -> Shapes:
    """Every tensor of a graph whose shape is known."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = type_shape(value.type)
    return shapes


def type_shape(kind: onnx.TypeProto) -> Shape:
    """Sizes; 0 for one that is not known."""
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)


def element_bytes(kind: int) -> int:
    """Bytes of one element of an ONNX type; 4 where the type is not known."""
    return onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize if kind else 4


def constants(graph: GraphProto) -> dict[str, onnx.TensorProto]:
    """Stored tensors by name: initializers and the values of Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = attribute.t
    return found


def outer_names(graph: GraphProto) -> list[str]:
    """Tensors that a body takes from the graph around it."""
    made = {value.name for value in graph.input} | {t.name for t in graph.initializer}
    made |= {name for node in graph.node for name in node.output}
    used = {name for node in graph.node for name in node.input if name}
    return sorted((used | {value.name for value in graph.output}) - made)


def peak_activation_bytes(model: ModelProto) -> int:
    """Largest sum of live tensors when the nodes run in the order of the file.

    A tensor lives from the node that makes it to the last that reads it; inputs from the start,
    weights not at all. Views (Reshape and the like) count as copies, which is what a runtime
    without in-place rules needs. ``model`` has shapes (:func:`with_shapes`).
    """
    graph = model.graph
    sizes = {
        value.name: math.prod(type_shape(value.type))
        * element_bytes(value.type.tensor_type.elem_type)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    last = {name: len(graph.node) for name in (value.name for value in graph.output)}
    stored = set(constants(graph))
    for index, node in enumerate(graph.node):
        for name in node.input:
            last[name] = max(index, last.get(name, 0))
    live = {v.name: sizes[v.name] for v in graph.input if v.name not in stored}
    peak = sum(live.values())
    for index, node in enumerate(graph.node):
        for name in node.output:
            if name and name not in stored:
                live[name] = sizes.get(name, 0)
        peak = max(peak, sum(live.values()))
        live = {name: size for name, size in live.items() if last.get(name, -1) > index}
    return peak
