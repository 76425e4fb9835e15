"""Activation ranges of an ONNX file, and the divergence of two files' outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType

from aum_edge.compression.quantization.calibration import SAMPLES
from aum_edge.compression.quantization.config import StaticConfig
from aum_edge.compression.quantization.rounding import LEVELS, QMAX, input_grid, input_range
from aum_edge.compression.quantization.simulate import compare
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import Activation

Batches = Sequence[np.ndarray]
"""Clips (n, 1, n_mels, n_frames), as many at once as the graph takes."""


def session(model: onnx.ModelProto | str) -> ort.InferenceSession:
    """A session of one thread that logs fatal errors alone."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    content = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def logits_of(model: onnx.ModelProto | str, batches: Batches) -> np.ndarray:
    """Logits (n, C) of all clips."""
    runner = session(model)
    name = runner.get_inputs()[0].name
    return np.concatenate([runner.run(None, {name: batch})[0] for batch in batches])


def loss_between(wanted: np.ndarray, got: np.ndarray, model: onnx.ModelProto) -> float:
    """Mean KL divergence of a file's outputs, in nats, as its metadata activate them."""
    props = {prop.key: prop.value for prop in model.metadata_props}
    activation: Activation = "sigmoid" if props.get("activation") == "sigmoid" else "softmax"
    return compare(torch.from_numpy(wanted), torch.from_numpy(got), activation).loss


def tensor_grids(
    model: onnx.ModelProto, nodes: Sequence[str], batches: Batches, config: StaticConfig
) -> dict[str, list[dict[str, Any]]]:
    """Scale and zero point for what these nodes take in and give out, as onnxruntime wants them.

    onnxruntime's own percentile cuts a histogram of magnitudes, which wastes half of the levels
    on one-sided activations, and it knows no least squared error.

    Raises:
        CompressionError: Every activation is a constant.
    """
    by_name = {node.name: node for node in model.graph.node}
    tensors = sorted({t for name in nodes for t in (by_name[name].input[0], *by_name[name].output)})
    kind = QuantType.QInt8 if config.activations == "int8" else QuantType.QUInt8
    grids = {}
    samples = _samples(model, tensors, batches)
    if all(values.min() == values.max() for values in samples.values()):
        raise CompressionError(
            "Every activation is one constant on the calibration set: give real training clips."
        )
    for tensor, values in samples.items():
        ends = input_range(torch.from_numpy(values), config.calibration, config.percentile)
        scale, zero = _grid(*ends, symmetric=config.activations == "int8")
        grids[tensor] = [{"scale": scale, "zero_point": zero, "quant_type": kind}]
    return grids


def _grid(low: float, high: float, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    if symmetric:
        top = max(-low, high, QMAX * 1e-12)
        return np.array(top / QMAX, np.float32), np.array(0, np.int8)
    scale, zero = input_grid(low, high).tolist()
    return np.array(scale, np.float32), np.array(min(zero, LEVELS), np.uint8)


def _samples(
    model: onnx.ModelProto, tensors: Sequence[str], batches: Batches
) -> dict[str, np.ndarray]:
    """Values of tensors of the graph, every so many, and the extremes."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    given = opened.graph.input[0].name
    present = {value.name for value in opened.graph.output}
    asked = [name for name in tensors if name != given]
    for name in asked:
        if name not in present:
            opened.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    runner = session(opened)
    kept: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    share = SAMPLES // len(batches)
    for batch in batches:
        values = dict(zip(asked, runner.run(asked, {given: batch}), strict=True))
        for name in tensors:
            flat = np.asarray(values.get(name, batch)).ravel()
            step = -(-flat.size // share)
            kept[name].append(np.concatenate([flat[::step], [flat.min(), flat.max()]]))
    return {name: np.concatenate(parts).astype(np.float32) for name, parts in kept.items()}
