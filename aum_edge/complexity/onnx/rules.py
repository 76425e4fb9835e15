"""MACs and special functions of each ONNX operator: the register of counting rules.

They count a node as torch_rules.py counts the torch operator. A new rule is one function
under :func:`onnx_rule`, here or in any module that is imported before the count.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from onnx import NodeProto

from aum_edge.complexity.torch_rules import OperatorCost

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
OnnxRule = Callable[[NodeProto, Shapes], OperatorCost]
"""From a node and the shapes of all tensors to the cost of that node."""
FREE = frozenset(
    """
    Add Sub Neg Abs Relu Clip Max Min Where Sum ReduceSum ReduceMax ReduceMin ArgMax Equal Less
    Greater LessOrEqual GreaterOrEqual And Or Not CumSum MaxPool AveragePool Pad Constant
    ConstantOfShape Cast CastLike Identity Reshape Transpose Squeeze Unsqueeze Slice Split Concat
    Expand Flatten Shape Gather GatherElements ScatterND Tile Trilu Range DequantizeLinear
    QuantizeLinear Size Sign Ceil Floor Round BatchNormalization Dropout
    """.split()
)
RULES: dict[str, OnnxRule] = {}


def onnx_rule(*names: str) -> Callable[[OnnxRule], OnnxRule]:
    """Register a function as the counting rule of ONNX operators.

    Args:
        names: The operator's type; ``domain.Type`` outside of ONNX's own domain.

    Raises:
        ValueError: One of them has a rule already.
    """

    def register(rule: OnnxRule) -> OnnxRule:
        for name in names:
            if name in RULES or name in FREE:
                raise ValueError(f"The ONNX operator {name} has a counting rule already.")
            RULES[name] = rule
        return rule

    return register


def size_of(shape: Shape) -> int:
    """Elements of a tensor."""
    return math.prod(shape)


@onnx_rule("Mul", "LeakyRelu", "PRelu", "HardSigmoid")
def _each(node: NodeProto, shapes: Shapes) -> OperatorCost:
    return OperatorCost(size_of(shapes[node.output[0]]))


@onnx_rule("Div")
def _division(node: NodeProto, shapes: Shapes) -> OperatorCost:
    """By many values: one division each; by few: their reciprocals and a multiplication each."""
    size, divisors = size_of(shapes[node.output[0]]), size_of(shapes[node.input[1]])
    macs = size if 1 < divisors < size else 0
    return OperatorCost(macs, {"division": divisors if divisors > 1 else size})


def _special(name: str) -> OnnxRule:
    return lambda node, shapes: OperatorCost(0, {name: size_of(shapes[node.output[0]])})


onnx_rule("Reciprocal", "ReduceMean", "GlobalAveragePool")(_special("division"))
onnx_rule("Exp")(_special("exp"))
onnx_rule("Log")(_special("log"))
onnx_rule("Sqrt")(_special("sqrt"))
onnx_rule("Sigmoid")(_special("sigmoid"))
onnx_rule("Tanh")(_special("tanh"))
onnx_rule("Erf")(_special("erf"))


@onnx_rule("Conv")
def _conv(node: NodeProto, shapes: Shapes) -> OperatorCost:
    return OperatorCost(size_of(shapes[node.output[0]]) * size_of(shapes[node.input[1]][1:]))


@onnx_rule("Gemm")
def _gemm(node: NodeProto, shapes: Shapes) -> OperatorCost:
    turned = any(a.name == "transA" and a.i for a in node.attribute)
    return OperatorCost(size_of(shapes[node.output[0]]) * shapes[node.input[0]][0 if turned else 1])


@onnx_rule("LayerNormalization")
def _layer_norm(node: NodeProto, shapes: Shapes) -> OperatorCost:
    shape = shapes[node.output[0]]
    rows = size_of(shape[:-1])
    return OperatorCost(3 * size_of(shape), {"sqrt": rows, "division": rows})


@onnx_rule("QLinearConv", "ConvInteger")
def _conv_integer(node: NodeProto, shapes: Shapes) -> OperatorCost:
    """QLinearConv has its weight fourth, ConvInteger second."""
    weight = node.input[3 if node.op_type == "QLinearConv" else 1]
    return OperatorCost(size_of(shapes[node.output[0]]) * size_of(shapes[weight][1:]))


@onnx_rule("ConvTranspose")
def _conv_transpose(node: NodeProto, shapes: Shapes) -> OperatorCost:
    """Every input value meets (outputs / groups) * kernel weights."""
    return OperatorCost(size_of(shapes[node.input[0]]) * size_of(shapes[node.input[1]][1:]))


@onnx_rule("Gelu")
def _gelu(node: NodeProto, shapes: Shapes) -> OperatorCost:
    size = size_of(shapes[node.output[0]])
    return OperatorCost(2 * size, {"erf": size})


@onnx_rule("Softmax", "LogSoftmax")
def _softmax(node: NodeProto, shapes: Shapes) -> OperatorCost:
    size = size_of(shapes[node.output[0]])
    return OperatorCost(0, {"exp": size, "division": size})


@onnx_rule("Softplus")
def _softplus(node: NodeProto, shapes: Shapes) -> OperatorCost:
    size = size_of(shapes[node.output[0]])
    return OperatorCost(0, {"exp": size, "log": size})


@onnx_rule("Einsum")
def _einsum(node: NodeProto, shapes: Shapes) -> OperatorCost:
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
    return OperatorCost(math.prod(sizes.values()) * (len(terms) - 1))


@onnx_rule("MatMul", "QLinearMatMul", "MatMulInteger")
def _matrices(node: NodeProto, shapes: Shapes) -> OperatorCost:
    """Rows * columns * inner size.

    Raises:
        ValueError: If the inner sizes differ.
    """
    second = 3 if node.op_type == "QLinearMatMul" else 1
    left, right = shapes[node.input[0]], shapes[node.input[second]]
    if left[-1] != right[-2 if len(right) > 1 else 0]:
        raise ValueError(f"{left} by {right}")
    return OperatorCost(size_of(shapes[node.output[0]]) * left[-1])


@onnx_rule("Pow")
def _power(node: NodeProto, shapes: Shapes) -> OperatorCost:
    """Counted as a square, which is what exporters write it for."""
    return _each(node, shapes)


@onnx_rule("HardSwish")
def _hard_swish(node: NodeProto, shapes: Shapes) -> OperatorCost:
    return OperatorCost(2 * size_of(shapes[node.output[0]]))
