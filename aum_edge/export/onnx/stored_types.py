"""Weights in the file as the model stores them: int8 with a scale a channel, or float16.

The graph is captured with float weights; here the initializers that hold them are found by their
values, as they are or transposed, since the exporter transposes and renames some.

int8 is read by Cast and Mul, not by DequantizeLinear: onnxruntime computes both of them once, when
it loads the file. It keeps a DequantizeLinear for every run instead, which made CP-Mobile 2.6 times
slower, and it joins it with a MatMul into MatMulNBits, which rounds the activations as well (logits
off by 5e-3 where Cast and Mul are off by 3e-7; onnxruntime 1.31).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from torch import Tensor

from aum_edge.errors import ExportError
from aum_edge.export.onnx.graph_writer import GraphWriter
from aum_edge.export.onnx.naming import module, scope
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.quantized import QuantizedLayer

WORTH_A_CAST = 32
"""Elements; a smaller tensor in 16 bit would save less than the Cast node takes."""


def store_as_in_model(graph: ir.Graph, model: AudioClassifier) -> None:
    """Put int8 and float16 tensors in place of the float ones they stand for.

    Raises:
        ExportError: If the weight of an int8 layer is not in the graph.
    """
    if (model.quantization or {}).get("float16"):
        _halve(graph)
    for name, layer in model.named_modules():
        if isinstance(layer, QuantizedLayer):
            _store_int8(graph, name, layer)


def _store_int8(graph: ir.Graph, name: str, layer: QuantizedLayer) -> None:
    codes, scale = _array(layer.weight), _array(layer.scale)
    wanted = _array(layer.float_weight())
    column = scale.reshape(-1, *[1] * (codes.ndim - 1))
    label = f"{module(scope(name))}.weight"
    forms = {"": (codes, column, wanted)}
    if codes.ndim == 2:
        forms["_t"] = (codes.T, column.T, wanted.T)
    if codes.ndim == 3:  # A convolution along tokens may be written with two dimensions.
        forms["_2d"] = (codes[:, :, None], column[:, :, None], wanted[:, :, None])
    found = False
    for value, array in _floats(graph, wanted.size):
        for suffix, (stored, factors, floats) in forms.items():
            if np.array_equal(array, floats):
                writer = GraphWriter(graph, scope(name))
                kept = writer.constant(f"{label}_int8{suffix}", np.ascontiguousarray(stored))
                scales = writer.constant(f"{label}_scale{suffix}", factors)
                steps = writer.op("Cast", kept, to=int(ir.DataType.FLOAT))
                _put_in_place(graph, writer, value, writer.op("Mul", steps, scales))
                found = True
                break
    if not found:
        raise ExportError(f"The int8 weight of {name} is not in the exported graph.")


def _halve(graph: ir.Graph) -> None:
    """float16 for every float tensor that loses nothing by it."""
    for value, array in _floats(graph):
        if array.size < WORTH_A_CAST:
            continue
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.array_equal(half.astype(np.float32), array):
            writer = GraphWriter(graph, "")
            stored = writer.constant(f"{value.name}_float16", half)
            real = writer.op("Cast", stored, to=int(ir.DataType.FLOAT))
            _put_in_place(graph, writer, value, real)


def _put_in_place(graph: ir.Graph, writer: GraphWriter, old: ir.Value, new: ir.Value) -> None:
    new.shape, new.type = old.shape, old.type
    first = next(node for node in graph if old in node.inputs)
    ir.convenience.replace_all_uses_with(old, new)
    writer.insert_before(first)
    if old.name is not None:
        del graph.initializers[old.name]


def _floats(graph: ir.Graph, size: int | None = None) -> Iterator[tuple[ir.Value, np.ndarray]]:
    """Every float initializer that a node uses, as it is now; of ``size`` elements if given."""
    for value in list(graph.initializers.values()):
        if value.dtype == ir.DataType.FLOAT and value.const_value is not None and value.uses():
            array = value.const_value.numpy()
            if size is None or array.size == size:
                yield value, array


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
