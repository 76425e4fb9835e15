"""int8 weights and activations in an ONNX file, by onnxruntime's static quantization.

Only projections are quantized: convolutions and matrix products with a constant weight. The scan,
the products of activations with activations in SSD, norms and gates stay float, by construction.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from aum_edge.compression.config import StaticConfig
from aum_edge.errors import CompressionError

log = logging.getLogger(__name__)
PROJECTIONS = ("Conv", "MatMul", "Gemm")
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
CLIPS_AT_ONCE = 16
PREPARED = "onnx.quant.pre_process"
"""onnxruntime's mark of a prepared graph; without it every run prints advice we do not need."""


class _Clips(CalibrationDataReader):
    """Hands the calibration clips to onnxruntime, a few at once."""

    def __init__(self, name: str, clips: np.ndarray, size: int) -> None:
        parts = np.split(clips, range(size, len(clips), size))
        self._batches: Iterator[dict[str, np.ndarray]] = iter([{name: part} for part in parts])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def quantize_onnx(
    float_path: str | Path,
    out_path: str | Path,
    calibration: np.ndarray,
    config: StaticConfig | None = None,
) -> Path:
    """Write an int8 QDQ copy of a float ONNX file; ``metadata_props`` go with it.

    uint8 activations are the default: with int8 ones students exported at opset 21 do not load in
    onnxruntime 1.31 (its optimizer mixes the two types), and no model measured ran faster.

    Args:
        float_path: the float model, one input (batch, 1, n_mels, n_frames).
        out_path: the result; it appears only once it has loaded and run.
        calibration: float32 features (n, 1, n_mels, n_frames) of training clips; about 100 do.
        config: calibration method and activation type; the defaults if ``None``.

    Raises:
        CompressionError: no usable clips, nothing to quantize, or the result does not run.
    """
    config, out_path = config or StaticConfig(), Path(out_path)
    model = _read(Path(float_path))
    names = projections(model)
    if not names:
        raise CompressionError(
            f"{float_path} has no Conv, MatMul or Gemm with a float weight: give the export of a "
            "float model, not one that is quantized already."
        )
    clips, at_once = _check_clips(model, calibration)
    draft = out_path.with_name(f".{out_path.name}.{os.getpid()}.tmp")
    out_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _quantize(model, draft, _Clips(model.graph.input[0].name, clips, at_once), names, config)
        _finish(draft, Path(float_path), config, len(clips))
        _check_runs(draft, clips[:at_once], config)
        draft.replace(out_path)
    finally:
        draft.unlink(missing_ok=True)
    log.info("Quantized %d projections of %s with %d clips.", len(names), float_path, len(clips))
    return out_path


def projections(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that multiply an activation with a constant matrix or kernel.

    Only of the main graph: the body of a Scan stays float.
    """
    weights = {
        tensor.name
        for tensor in model.graph.initializer
        if len(tensor.dims) >= 2 and tensor.data_type == onnx.TensorProto.FLOAT
    }
    return [
        node.name
        for node in model.graph.node
        if node.op_type in PROJECTIONS and node.input[1] in weights
    ]


def _read(path: Path) -> onnx.ModelProto:
    if not path.is_file():
        raise CompressionError(f"There is no ONNX file {path}; export the float model first.")
    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise CompressionError(f"{path} is not a readable ONNX file: {error}") from error
    if len(model.graph.input) != 1:
        raise CompressionError(
            f"{path.name} has {len(model.graph.input)} inputs; one is expected: the features."
        )
    taken = {node.name for node in model.graph.node}
    for index, node in enumerate(model.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{index}"
            while node.name in taken:
                node.name += "_"
            taken.add(node.name)
    return model


def _check_clips(model: onnx.ModelProto, calibration: np.ndarray) -> tuple[np.ndarray, int]:
    """The clips as float32, and how many the graph takes at once."""
    clips = np.ascontiguousarray(calibration, dtype=np.float32)
    if clips.size == 0:
        raise CompressionError("The calibration set is empty; give about 100 training clips.")
    dims = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    fits = clips.ndim == len(dims) and all(
        want in (0, got) for want, got in zip(dims[1:], clips.shape[1:], strict=True)
    )
    if not fits:
        want = ", ".join(str(dim or "any") for dim in dims)
        raise CompressionError(
            f"Calibration clips have the shape {clips.shape}; the model takes ({want})."
        )
    if not np.isfinite(clips).all():
        raise CompressionError("The calibration set holds NaN or infinity; check those clips.")
    if clips.min() == clips.max():
        raise CompressionError(
            f"Every value of the calibration set is {clips.flat[0]:g}: ranges cannot be learnt "
            "from constant clips; give real training clips."
        )
    at_once = dims[0] or _even_share(len(clips))
    whole = len(clips) // at_once * at_once
    if not whole:
        raise CompressionError(
            f"The model takes {at_once} clips at once, the calibration set has {len(clips)}."
        )
    return clips[:whole], at_once


def _even_share(clips: int) -> int:
    """A batch size that divides the clips: histograms cannot be merged over a shorter last one."""
    return max(size for size in range(1, CLIPS_AT_ONCE + 1) if clips % size == 0)


def _quantize(
    model: onnx.ModelProto,
    draft: Path,
    reader: CalibrationDataReader,
    names: list[str],
    config: StaticConfig,
) -> None:
    symmetric = config.activations == "int8"
    options: dict[str, bool | float] = {"ActivationSymmetric": symmetric, "WeightSymmetric": True}
    if config.calibration == "percentile":
        options |= {"CalibPercentile": config.percentile}
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    prepared.metadata_props.add(key=PREPARED, value="onnxruntime.quant")
    with contextlib.redirect_stdout(io.StringIO()):
        quantize_static(
            prepared,
            str(draft),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(PROJECTIONS),
            nodes_to_quantize=names,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            calibrate_method=METHODS[config.calibration],
            extra_options=options,
        )


def _finish(draft: Path, float_path: Path, config: StaticConfig, clips: int) -> None:
    """Put the source's metadata in place of the quantizer's, and say what was done."""
    source = onnx.load(str(float_path), load_external_data=False)
    model = onnx.load(str(draft))
    props = {prop.key: prop.value for prop in source.metadata_props}
    props["static_quantization"] = json.dumps({**asdict(config), "clips": clips})
    onnx.helper.set_model_props(model, props)
    onnx.save(model, str(draft))


def _check_runs(draft: Path, clips: np.ndarray, config: StaticConfig) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(str(draft), options, providers=["CPUExecutionProvider"])
        logits = session.run(None, {session.get_inputs()[0].name: clips})[0]
    except Exception as error:
        raise CompressionError(
            f"onnxruntime cannot run the quantized graph with {config.activations} activations: "
            f"{error}. Export at opset 18, or set activations to uint8."
        ) from error
    if not np.isfinite(logits).all():
        raise CompressionError("The quantized graph gives NaN or infinity; check the float model.")
