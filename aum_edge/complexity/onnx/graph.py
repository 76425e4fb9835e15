"""Reading an ONNX file and the shapes of its tensors for one input."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, shape_inference

from aum_edge.complexity.onnx.rules import Shape, Shapes
from aum_edge.core.text import one_line
from aum_edge.errors import UnsupportedOperatorError

FRONT_END, FRONT_END_TABLES = "/frontend/", "frontend."
"""How names of the nodes and tables begin that `aum-edge export --with-frontend` adds."""
SHAPE_TYPES = (onnx.TensorProto.INT64, onnx.TensorProto.STRING)
HALF_BYTES = {
    onnx.TensorProto.DataType.Value(name)
    for name in ("INT4", "UINT4", "FLOAT4E2M1")
    if name in onnx.TensorProto.DataType.keys()
}


def read_onnx(path: Path) -> ModelProto:
    """Parse a file.

    Raises:
        UnsupportedOperatorError: If it is missing, not ONNX, or holds no graph.
    """
    try:
        model = onnx.load(path)
    except (DecodeError, OSError, onnx.checker.ValidationError) as error:
        reason = one_line(error, 200)
        raise UnsupportedOperatorError(
            f"{path} is missing, not an ONNX file, or lacks its external data: {reason}."
        ) from error
    if not model.graph.input or not model.graph.node:
        raise UnsupportedOperatorError(f"{path} is not an ONNX file, or an empty one.")
    return model


def with_shapes(model: ModelProto) -> ModelProto:
    """A copy whose tensors have shapes, every free dimension of its inputs being 1."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in (*fixed.graph.input, *fixed.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param or dim.dim_value < 1:
                dim.dim_value = 1
    return inferred(fixed)


def free_axes(model: ModelProto) -> list[str]:
    """``input axis`` of every dimension beside the batch that the file leaves open."""
    stored = {tensor.name for tensor in model.graph.initializer}
    return [
        f"{value.name} axis {axis} ({dim.dim_param or 'unnamed'})"
        for value in model.graph.input
        if value.name not in stored
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if axis and dim.dim_value < 1
    ]


def inferred(model: ModelProto) -> ModelProto:
    """ONNX's own shape inference, from the inputs alone."""
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, data_prop=True)


def shapes_of(graph: GraphProto) -> Shapes:
    """Every tensor of a graph all of whose dimensions are known."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        dims = kind.shape.dim
        if kind.HasField("shape") and all(
            d.HasField("dim_value") and d.dim_value >= 0 for d in dims
        ):
            shapes[value.name] = type_shape(value.type)
    return shapes


def type_shape(kind: onnx.TypeProto) -> Shape:
    """Sizes; 0 for one that is not known."""
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)


def holds_front_end(model: ModelProto) -> bool:
    """Whether aum-edge put a front end into the file, by its metadata."""
    props = {entry.key: entry.value for entry in model.metadata_props}
    return "aum_edge.version" in props and props.get("input") == "waveform"


def stored_bytes(kind: int, elements: int) -> int:
    """Bytes of so many elements of an ONNX type, two of 4 bits in one; 4 each if not known."""
    if kind in HALF_BYTES:
        return -(-elements // 2)
    width = onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize if kind else 4
    return elements * width


def constants(graph: GraphProto) -> dict[str, onnx.TensorProto]:
    """Stored tensors of a graph by name: initializers and the values of Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute:
            found[node.output[0]] = _constant(node.attribute[0])
    return found


def _constant(attribute: onnx.AttributeProto) -> onnx.TensorProto:
    """The tensor of a Constant node, whichever of its attributes holds it."""
    if attribute.name == "value":
        return attribute.t
    value = onnx.helper.get_attribute_value(attribute)
    many = isinstance(value, list)
    numbers = value if many else [value]
    kind = onnx.TensorProto.FLOAT if "float" in attribute.name else onnx.TensorProto.INT64
    if "string" in attribute.name:
        kind = onnx.TensorProto.STRING
    return onnx.helper.make_tensor("", kind, [len(numbers)] if many else [], numbers)


def weights(graph: GraphProto) -> list[onnx.TensorProto]:
    """Stored tensors of a graph and of all bodies in it, less those that only give shapes.

    Integers of 64 bits are shapes, axes, indices and trip counts in every exporter's files.
    """
    found = [t for t in constants(graph).values() if t.data_type not in SHAPE_TYPES]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += weights(attribute.g)
    return found


def outer_names(graph: GraphProto) -> list[str]:
    """Tensors that a body takes from the graph around it."""
    made = {value.name for value in graph.input} | {t.name for t in graph.initializer}
    made |= {name for node in graph.node for name in node.output}
    used = {name for node in graph.node for name in node.input if name}
    return sorted((used | {value.name for value in graph.output}) - made)


def peak_activation_bytes(model: ModelProto) -> int:
    """Largest sum of live tensors when the nodes run in the order of the file.

    A tensor is live from the node that makes it to the last that reads it; inputs from the start,
    weights not at all. Views (Reshape and the like) count as copies, which is what a runtime
    without in-place rules needs. ``model`` has shapes (:func:`with_shapes`).
    """
    graph = model.graph
    sizes = {
        value.name: stored_bytes(
            value.type.tensor_type.elem_type, math.prod(type_shape(value.type))
        )
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
