"""int8 weights and activations in an ONNX file, by onnxruntime's static quantization.

Only projections are quantized: convolutions and matrix products with a constant weight. The scan,
the products of activations with activations in SSD, norms and gates stay float, by construction,
and so does what a matrix product gives out: that is the scan's input and the gate. Ranges are our
own, and projections whose rounding changes the outputs most stay float.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from aum_edge.compression.quantization.calibration import check_features
from aum_edge.compression.quantization.config import StaticConfig
from aum_edge.compression.quantization.onnx_ranges import (
    Batches,
    logits_of,
    loss_between,
    tensor_grids,
)
from aum_edge.core.files import new_file
from aum_edge.core.progress import Progress
from aum_edge.errors import CompressionError

log = logging.getLogger(__name__)
PROJECTIONS = ("Conv", "MatMul", "Gemm")
FLOAT_OUTPUTS = ("MatMul", "Gemm")
CLIPS_AT_ONCE = 16
WORTH_IT = 0.95
"""A projection is given back if that leaves no more than this share of the loss."""
PREPARED = "onnx.quant.pre_process"
"""onnxruntime's mark of a prepared graph; without it every run prints advice we do not need."""


class _Clips(CalibrationDataReader):
    """One batch for onnxruntime's calibration, whose ranges are then set by ours."""

    def __init__(self, name: str, batch: np.ndarray) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter([{name: batch}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


@dataclass(frozen=True)
class StaticReport:
    """What was written: which projections are int8, which stay float, and what it costs."""

    path: Path
    quantized: tuple[str, ...]
    kept_float: tuple[str, ...]
    """In the order in which they were given back, the most harmful first."""
    loss: float
    """Mean KL divergence from the float file's outputs on the calibration clips, in nats."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without the path."""
        names = {"quantized": list(self.quantized), "kept_float": list(self.kept_float)}
        return {**names, "calibration_loss": self.loss}


def quantize_onnx(
    float_path: str | Path,
    out_path: str | Path,
    calibration: np.ndarray,
    config: StaticConfig | None = None,
    rows: Sequence[int] = (),
    progress: Progress | None = None,
) -> StaticReport:
    """Write an int8 QDQ copy of a float ONNX file; ``metadata_props`` go with it.

    uint8 activations are the default: with int8 ones students exported at opset 21 do not load in
    onnxruntime 1.31 (its optimizer mixes the two types), and no model measured ran faster.

    Args:
        float_path: the float model, one input (batch, 1, n_mels, n_frames).
        out_path: the result; it appears only once it has loaded and run.
        calibration: float32 features (n, 1, n_mels, n_frames) of training clips; about 100 do.
        config: calibration method and activation type; the defaults if ``None``.
        rows: Which rows of the training split the clips are; they go into the metadata.
        progress: Called with files tried, files to try and what they are.

    Cost: one quantization and one pass over the clips for each projection; seconds for a student.

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
    batches = _check_clips(model, calibration)
    with new_file(out_path) as draft:
        trial = _Trial(model, draft, batches, config, tensor_grids(model, names, batches, config))
        kept, loss = _give_back(trial, names, config.max_loss, progress)
        quantized = tuple(name for name in names if name not in kept)
        clips = sum(map(len, batches))
        note = {**asdict(config), "clips": clips, "rows": list(rows), "float": list(kept)}
        _finish(draft, Path(float_path), note)
    log.info("Quantized %d projections of %s with %d clips.", len(quantized), float_path, clips)
    return StaticReport(out_path, quantized, kept, loss)


class _Trial:
    """Writes a draft with some projections quantized and measures how far its outputs are off."""

    def __init__(
        self,
        model: onnx.ModelProto,
        draft: Path,
        batches: Batches,
        config: StaticConfig,
        grids: dict[str, list[dict[str, Any]]],
    ) -> None:
        self.model, self.draft, self.batches = model, draft, batches
        self.config, self.grids = config, grids
        self.wanted = logits_of(model, batches)

    def weights(self, name: str) -> int:
        """Elements of a projection's weight."""
        node = next(node for node in self.model.graph.node if node.name == name)
        stored = next(t for t in self.model.graph.initializer if t.name == node.input[1])
        return math.prod(stored.dims)

    def loss(self, names: Sequence[str]) -> float:
        """Quantize these projections into the draft; KL divergence of its outputs."""
        _quantize(self.model, self.draft, self.batches[0], names, self.config, self.grids)
        try:
            got = logits_of(str(self.draft), self.batches)
        except Exception as error:
            raise CompressionError(
                f"onnxruntime cannot run the quantized graph with {self.config.activations} "
                f"activations: {error}. Export at opset 18, or set activations to uint8."
            ) from error
        if not np.isfinite(got).all():
            raise CompressionError(
                "The quantized graph gives NaN or infinity; check the float model."
            )
        return loss_between(self.wanted, got, self.model)


def _give_back(
    trial: _Trial, names: list[str], max_loss: float | None, progress: Progress | None
) -> tuple[tuple[str, ...], float]:
    """Names of the projections that stay float, and the loss of the draft without them.

    Each is first quantized alone. They are given back by that loss for each weight that is float
    then, where it helps, until the loss is small enough.
    """
    loss = trial.loss(names)
    if max_loss is None or loss <= max_loss:
        return (), loss
    alone = {}
    for index, name in enumerate(names):
        alone[name] = trial.loss([name]) / trial.weights(name)
        if progress:
            progress(index + 1, len(names), "projections tried in int8")
    left, kept = list(names), []
    for name in sorted(names, key=alone.__getitem__, reverse=True):
        if loss <= max_loss or len(left) == 1:
            break
        rest = [other for other in left if other != name]
        without = trial.loss(rest)
        if without <= WORTH_IT * loss:
            left, loss = rest, without
            kept.append(name)
    return tuple(kept), trial.loss(left)


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


def _check_clips(model: onnx.ModelProto, calibration: np.ndarray) -> list[np.ndarray]:
    """The clips as float32, in batches of as many as the graph takes at once."""
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
    check_features(torch.from_numpy(clips))
    at_once = dims[0] or CLIPS_AT_ONCE
    whole = len(clips) // dims[0] * dims[0] if dims[0] else len(clips)
    if not whole:
        raise CompressionError(
            f"The model takes {at_once} clips at once, the calibration set has {len(clips)}."
        )
    return np.split(clips[:whole], range(at_once, whole, at_once))


def _quantize(
    model: onnx.ModelProto,
    draft: Path,
    batch: np.ndarray,
    names: Sequence[str],
    config: StaticConfig,
    grids: dict[str, list[dict[str, Any]]],
) -> None:
    symmetric = config.activations == "int8"
    options: dict[str, Any] = {
        "ActivationSymmetric": symmetric,
        "WeightSymmetric": True,
        "OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS),
        "TensorQuantOverrides": copy.deepcopy(grids),
    }
    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    prepared.metadata_props.add(key=PREPARED, value="onnxruntime.quant")
    with contextlib.redirect_stdout(io.StringIO()):
        quantize_static(
            prepared,
            str(draft),
            _Clips(model.graph.input[0].name, batch),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(PROJECTIONS),
            nodes_to_quantize=list(names),
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options=options,
        )


def _finish(draft: Path, float_path: Path, note: dict[str, Any]) -> None:
    """Put the source's metadata in place of the quantizer's, and say what was done."""
    source = onnx.load(str(float_path), load_external_data=False)
    model = onnx.load(str(draft))
    props = {prop.key: prop.value for prop in source.metadata_props}
    props["static_quantization"] = json.dumps(note)
    onnx.helper.set_model_props(model, props)
    onnx.save(model, str(draft))
