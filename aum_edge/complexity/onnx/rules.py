"""What each ONNX operator costs, by the same rules as the torch operators (rules.py)."""

from __future__ import annotations

import math
from collections.abc import Callable

from onnx import NodeProto

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
Count = Callable[[NodeProto, Shapes], tuple[int, dict[str, int]]]

FREE = frozenset(
    """
    Add Sub Neg Abs Relu Clip Max Min Where Sum ReduceSum ReduceMax ReduceMin ArgMax Equal Less
    Greater LessOrEqual GreaterOrEqual And Or Not CumSum MaxPool AveragePool Pad Constant
    ConstantOfShape Cast CastLike Identity Reshape Transpose Squeeze Unsqueeze Slice Split Concat
    Expand Flatten Shape Gather GatherElements ScatterND Tile Trilu Range DequantizeLinear
    QuantizeLinear Size Sign Ceil Floor Round BatchNormalization Dropout
    """.split()
)


def _each(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    return size_of(shapes[node.output[0]]), {}


def _division(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """By many values: one division each; by few: their reciprocals and a multiplication each."""
    size, divisors = size_of(shapes[node.output[0]]), size_of(shapes[node.input[1]])
    return (size if 1 < divisors < size else 0), {"division": divisors if divisors > 1 else size}


def _special(name: str) -> Count:
    return lambda node, shapes: (0, {name: size_of(shapes[node.output[0]])})


def _conv(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    return size_of(shapes[node.output[0]]) * size_of(shapes[node.input[1]][1:]), {}


def _gemm(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    turned = any(a.name == "transA" and a.i for a in node.attribute)
    return size_of(shapes[node.output[0]]) * shapes[node.input[0]][0 if turned else 1], {}


def _layer_norm(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    shape = shapes[node.output[0]]
    rows = size_of(shape[:-1])
    return 3 * size_of(shape), {"sqrt": rows, "division": rows}


def _conv_integer(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """QLinearConv has its weight fourth, ConvInteger second."""
    weight = node.input[3 if node.op_type == "QLinearConv" else 1]
    return size_of(shapes[node.output[0]]) * size_of(shapes[weight][1:]), {}


def _conv_transpose(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """Every input value meets (outputs / groups) * kernel weights."""
    return size_of(shapes[node.input[0]]) * size_of(shapes[node.input[1]][1:]), {}


def _gelu(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    size = size_of(shapes[node.output[0]])
    return 2 * size, {"erf": size}


def _softmax(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    size = size_of(shapes[node.output[0]])
    return 0, {"exp": size, "division": size}


def _softplus(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    size = size_of(shapes[node.output[0]])
    return 0, {"exp": size, "log": size}


def _einsum(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """All index values of the product; each further operand multiplies once more.

    Raises:
        ValueError: If an ellipsis leaves the indices open.
    """
    equation = next(a.s.decode() for a in node.attribute if a.name == "equation")
    terms = equation.replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, name in zip(terms, node.input, strict=True):
        for index, size in zip(term, shapes[name], strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    return math.prod(sizes.values()) * (len(terms) - 1), {}


def _matrices(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """Rows * columns * inner size.

    Raises:
        ValueError: If the inner sizes differ.
    """
    second = 3 if node.op_type == "QLinearMatMul" else 1
    left, right = shapes[node.input[0]], shapes[node.input[second]]
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise ValueError(f"{left} by {right}")
    return size_of(shapes[node.output[0]]) * left[-1], {}


def _power(node: NodeProto, shapes: Shapes) -> tuple[int, dict[str, int]]:
    """Counted as a square, which is what exporters write it for."""
    return _each(node, shapes)


RULES: dict[str, Count] = {
    "Conv": _conv,
    "MatMul": _matrices,
    "Gemm": _gemm,
    "ConvTranspose": _conv_transpose,
    "QLinearConv": _conv_integer,
    "ConvInteger": _conv_integer,
    "QLinearMatMul": _matrices,
    "MatMulInteger": _matrices,
    "Gelu": _gelu,
    "Einsum": _einsum,
    "Mul": _each,
    "Pow": _power,
    "LayerNormalization": _layer_norm,
    "Softmax": _softmax,
    "Div": _division,
    "Reciprocal": _special("division"),
    "ReduceMean": _special("division"),
    "GlobalAveragePool": _special("division"),
    "Exp": _special("exp"),
    "Log": _special("log"),
    "Sqrt": _special("sqrt"),
    "Sigmoid": _special("sigmoid"),
    "Tanh": _special("tanh"),
    "Erf": _special("erf"),
    "Softplus": _softplus,
    "LeakyRelu": _each,
    "PRelu": _each,
    "HardSigmoid": _each,
    "HardSwish": lambda node, shapes: (2 * size_of(shapes[node.output[0]]), {}),
    "LogSoftmax": _softmax,
}


def size_of(shape: Shape) -> int:
    """Elements of a tensor."""
    return math.prod(shape)
