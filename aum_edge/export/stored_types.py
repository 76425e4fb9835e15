"""Weights in the file as the model stores them: int8 with a scale a channel, or float16.

The graph is captured with float weights; here the initializers that hold them are found by their
values, as they are or transposed, since the exporter transposes and renames some.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from aum_edge.errors import ExportError
from aum_edge.export.graph_writer import GraphWriter
from aum_edge.export.naming import scope
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
    codes = layer.weight.detach().cpu().numpy()
    scale = layer.scale.detach().cpu().numpy()
    wanted = layer.float_weight().detach().cpu().numpy()
    found = False
    for value, array in _floats(graph, wanted.size):
        transposed = not _equal(array, wanted)
        if transposed and not (wanted.ndim == 2 and _equal(array, wanted.T)):
            continue
        found = True
        writer = GraphWriter(graph, scope(name))
        label = f"{scope(name)[1:].replace('/', '.')}.weight"
        stored = writer.constant(
            f"{label}_int8_t" if transposed else f"{label}_int8",
            np.ascontiguousarray(codes.T) if transposed else codes,
        )
        scales = writer.constant(f"{label}_scale", scale)
        real = writer.op("DequantizeLinear", stored, scales, axis=int(transposed))
        _put_in_place(graph, writer, value, real)
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
    del graph.initializers[old.name]


def _floats(graph: ir.Graph, size: int | None = None) -> Iterator[tuple[ir.Value, np.ndarray]]:
    """Every float initializer that a node uses, as it is now; of ``size`` elements if given."""
    for value in list(graph.initializers.values()):
        if value.dtype == ir.DataType.FLOAT and value.const_value is not None and value.uses():
            array = value.const_value.numpy()
            if size is None or array.size == size:
                yield value, array


def _equal(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and bool(np.array_equal(left, right))
