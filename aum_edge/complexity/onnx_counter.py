"""Count an ONNX graph by the same rules, independently of torch.

Shapes come from ONNX's own inference with one clip a batch; the body of a Scan or Loop counts once
an iteration. What has no rule is listed as unsupported, never counted as zero.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, shape_inference

from aum_edge.complexity.counter import OperatorCounts
from aum_edge.complexity.limits import Limits
from aum_edge.complexity.report import Complexity
from aum_edge.errors import UnsupportedOperatorError

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
Count = Callable[[NodeProto, Shapes], tuple[int, dict[str, int]]]

FREE = set(
    """
    Add Sub Neg Abs Relu Clip Max Min Where Sum ReduceSum ReduceMax ReduceMin ArgMax Equal Less
    Greater LessOrEqual GreaterOrEqual And Or Not CumSum MaxPool AveragePool Pad Constant
    ConstantOfShape Cast CastLike Identity Reshape Transpose Squeeze Unsqueeze Slice Split Concat
    Expand Flatten Shape Gather GatherElements ScatterND Tile Trilu Range DequantizeLinear
    QuantizeLinear Size Sign Ceil Floor Round BatchNormalization Dropout
    """.split()
)


def _each(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    return _size(shapes[node.output[0]]), {}


def _special(name: str) -> Count:
    return lambda node, shapes: (0, {name: _size(shapes[node.output[0]])})


def _conv(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    return _size(shapes[node.output[0]]) * _size(shapes[node.input[1]][1:]), {}


def _matmul(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    return _size(shapes[node.output[0]]) * shapes[node.input[0]][-1], {}


def _gemm(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    turned = any(a.name == "transA" and a.i for a in node.attribute)
    return _size(shapes[node.output[0]]) * shapes[node.input[0]][0 if turned else 1], {}


def _layer_norm(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    shape = shapes[node.output[0]]
    rows = _size(shape[:-1])
    return 3 * _size(shape), {"sqrt": rows, "division": rows}


def _pow(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    return _each(node, shapes)


def _softmax(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    size = _size(shapes[node.output[0]])
    return 0, {"exp": size, "division": size}


def _einsum(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """All index values of the product; each further operand multiplies once more."""
    equation = next(a.s.decode() for a in node.attribute if a.name == "equation")
    terms = equation.replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        sizes |= dict(zip(term, shapes[name], strict=True))
    return math.prod(sizes.values()) * max(1, len(terms) - 1), {}


RULES: dict[str, Count] = {
    "Conv": _conv,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Mul": _each,
    "Pow": _pow,
    "LayerNormalization": _layer_norm,
    "Softmax": _softmax,
    "Div": _special("division"),
    "Reciprocal": _special("division"),
    "ReduceMean": _special("division"),
    "GlobalAveragePool": _special("division"),
    "Exp": _special("exp"),
    "Log": _special("log"),
    "Sqrt": _special("sqrt"),
    "Sigmoid": _special("sigmoid"),
    "Tanh": _special("tanh"),
    "Erf": _special("erf"),
    "Softplus": _special("softplus"),
}


def count_onnx(path: str | Path) -> OperatorCounts:
    """Count one clip through an .onnx file.

    Raises:
        UnsupportedOperatorError: The file is not ONNX, or its shapes cannot be inferred.
    """
    model = _read(Path(path))
    _one_clip(model)
    counts = OperatorCounts()
    _count_graph(_inferred(model), {}, 1, counts, "")
    return counts


def analyse_onnx(path: str | Path, limits: Limits) -> Complexity:
    """The complexity of an .onnx file; official figures need the torch model and are ``None``.

    ``param_bytes`` are the bytes of the initializers, int8 codes and scales included.
    """
    model = _read(Path(path))
    sizes = [_payload(tensor) for tensor in model.graph.initializer]
    shape = _shape(model.graph.input[0].type)
    props = {entry.key: entry.value for entry in model.metadata_props}
    weights = props.get("n_params")
    return Complexity(
        counts=count_onnx(path),
        n_params=int(json.loads(weights)) if weights else sum(n for n, _ in sizes),
        param_bytes=sum(size for _, size in sizes),
        buffer_bytes=0,
        official_macs=None,
        official_bytes=None,
        limits=limits,
        input_shape=(1, *(size or 1 for size in shape[1:])),
    )


def _read(path: Path) -> ModelProto:
    try:
        model = onnx.load(path)
    except (DecodeError, OSError) as error:
        raise UnsupportedOperatorError(
            f"{path} is missing or not an ONNX file: {error}."
        ) from error
    if not model.graph.input or not model.graph.node:
        raise UnsupportedOperatorError(f"{path} is not an ONNX file, or an empty one.")
    return model


def _one_clip(model: ModelProto) -> None:
    """Fix every free dimension to 1."""
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param or not dim.HasField("dim_value"):
                dim.dim_value = 1


def _inferred(model: ModelProto) -> ModelProto:
    del model.graph.value_info[:]
    return shape_inference.infer_shapes(model, data_prop=True)


def _count_graph(
    model: ModelProto, outer: Shapes, times: int, counts: OperatorCounts, prefix: str
) -> None:
    shapes = outer | _shapes(model.graph)
    constant = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" and node.op_type not in ("Scan", "Loop"):
            if node.input and all(name in constant for name in node.input if name):
                constant.update(node.output)  # runs once at load time
                continue
        elif node.op_type == "DequantizeLinear" and node.input[0] in constant:
            constant.update(node.output)
        _count_node(model, node, shapes, times, counts, prefix)


def _count_node(
    model: ModelProto,
    node: NodeProto,
    shapes: Shapes,
    times: int,
    counts: OperatorCounts,
    prefix: str,
) -> None:
    if node.op_type == "Scan":
        _count_scan(model, node, shapes, times, counts, prefix)
        return
    if node.op_type in FREE:
        return
    name = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    known = all(item in shapes for item in (*filter(None, node.input[:2]), node.output[0]))
    if name not in RULES or not known:
        counts.unsupported[name] += 1
        return
    macs, special = RULES[name](node, shapes)
    counts.special_functions.update({key: value * times for key, value in special.items()})
    if macs:
        counts.macs_by_op[name] += macs * times
        layer = prefix + (node.name or node.output[0])
        counts.layers.setdefault(layer, Counter())[name] += macs * times


def _count_scan(
    model: ModelProto,
    node: NodeProto,
    shapes: Shapes,
    times: int,
    counts: OperatorCounts,
    prefix: str,
) -> None:
    """A body once an iteration: its inputs are the states, then one slice of each scan input."""
    attributes = {a.name: a for a in node.attribute}
    slices = attributes["num_scan_inputs"].i
    body = attributes["body"].g
    axes = list(attributes["scan_input_axes"].ints) if "scan_input_axes" in attributes else []
    axes = axes or [0] * slices
    states = node.input[: len(node.input) - slices]
    given = [shapes[name] for name in states]
    for name, axis in zip(node.input[len(states) :], axes, strict=True):
        shape = shapes[name]
        trips = shape[axis]
        given.append(tuple(size for i, size in enumerate(shape) if i != axis % len(shape)))
    counts.state_elements += sum(_size(shape) for shape in given[: len(states)])
    inner = ModelProto()
    inner.CopyFrom(model)
    inner.graph.CopyFrom(body)
    for value, shape in zip(inner.graph.input, given, strict=True):
        kind = value.type.tensor_type.elem_type or onnx.TensorProto.FLOAT
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, shape))
    for value in inner.graph.output:
        value.type.tensor_type.ClearField("shape")
    for name in _outer_names(inner.graph):
        if name in shapes:
            inner.graph.input.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name])
            )
    _count_graph(_inferred(inner), shapes, times * trips, counts, f"{prefix}{node.name}/")


def _outer_names(graph: GraphProto) -> list[str]:
    """Tensors that a body takes from the graph around it."""
    made = {value.name for value in graph.input} | {t.name for t in graph.initializer}
    made |= {name for node in graph.node for name in node.output}
    return sorted({name for node in graph.node for name in node.input if name and name not in made})


def _shapes(graph: GraphProto) -> Shapes:
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.tensor_type.HasField("shape"):
            shapes[value.name] = _shape(value.type)
    return shapes


def _shape(kind: onnx.TypeProto) -> Shape:
    return tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)


def _size(shape: Shape) -> int:
    return math.prod(shape)


def _payload(tensor: onnx.TensorProto) -> tuple[int, int]:
    """Elements and bytes of an initializer."""
    count = math.prod(tensor.dims)
    width = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return count, count * width
