"""An exported file, ready to classify on the CPU."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from torch import Tensor

from aum_edge.errors import ExportError, RecipeError
from aum_edge.export.capture import INPUT, OUTPUT
from aum_edge.export.metadata import read_metadata

RUN_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
ERRORS_ONLY = 3


def open_session(source: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """Onnxruntime on the CPU with this many threads, one operator after the other.

    Raises:
        RecipeError: If ``threads`` is below 1.
        ExportError: If onnxruntime cannot load the file.
    """
    if threads < 1:
        raise RecipeError(f"`threads` must be at least 1, got {threads}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = ERRORS_ONLY
    if isinstance(source, Path) and not source.is_file():
        raise ExportError(f"There is no file {source}: give an .onnx file.")
    try:
        return onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source),
            options,
            providers=["CPUExecutionProvider"],
        )
    except RUN_ERRORS as error:
        name = "The exported graph" if isinstance(source, bytes) else str(source)
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"{name} is no ONNX file that onnxruntime {onnxruntime.__version__} can load "
            f"({reason}): export it again, or with a lower opset."
        ) from error


class OnnxClassifier:
    """Raw log-mel features in, logits out; normalisation is inside the graph."""

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        """Load a file that ``export_onnx`` wrote.

        Raises:
            ExportError: If it is missing, not ONNX, or not one of ours.
            RecipeError: If ``threads`` is below 1.
        """
        self.path = Path(path)
        started = time.perf_counter()
        self.session = open_session(self.path, threads)
        self.load_ms = (time.perf_counter() - started) * 1e3
        names = [value.name for value in self.session.get_inputs()]
        outputs = [value.name for value in self.session.get_outputs()]
        if any(name.startswith("state.") for name in names):
            raise ExportError(
                f"{path} is a step graph for streams: use `aum-edge predict --stream`, or export "
                "the model without --streaming."
            )
        if names != [INPUT] or outputs != [OUTPUT]:
            raise ExportError(
                f"{path} maps {names} to {outputs}; a classifier of aum-edge maps ['{INPUT}'] to "
                f"['{OUTPUT}']. Export the model with `aum-edge export`."
            )
        props = self.session.get_modelmeta().custom_metadata_map
        read = read_metadata(props, str(path))
        self.labels = read.labels
        self.frontend = read.frontend
        self.normalization = read.normalization
        self.metadata: dict[str, Any] = read.values

    def logits(self, features: np.ndarray | Tensor) -> Tensor:
        """Features (B, 1, n_mels, n_frames), not normalised, to logits (B, n_classes) float32.

        Raises:
            ExportError: If the features have another shape.
        """
        array = features.detach().cpu().numpy() if isinstance(features, Tensor) else features
        wanted = (1, self.frontend.n_mels, self.frontend.n_frames)
        if array.ndim != 4 or array.shape[1:] != wanted:
            raise ExportError(
                f"{self.path.name} takes features (batch, {', '.join(map(str, wanted))}), "
                f"got {array.shape}: make them with the front end in its metadata."
            )
        return torch.from_numpy(self.run(np.ascontiguousarray(array, dtype=np.float32)))

    def run(self, features: np.ndarray) -> np.ndarray:
        """The same on a float32 array, unchecked: what the benchmark times."""
        return self.session.run([OUTPUT], {INPUT: features})[0]

    def describe(self) -> dict[str, Any]:
        """The file in numbers: ``{file, bytes, sha256, nodes, load_ms, scan, opset}``."""
        data = self.path.read_bytes()
        model = onnx.load_from_string(data)
        return {
            "file": self.path.name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "nodes": count_nodes(model.graph),
            "load_ms": self.load_ms,
            "scan": self.metadata.get("scan", "none"),
            "opset": next(entry.version for entry in model.opset_import if not entry.domain),
        }


def count_nodes(graph: onnx.GraphProto) -> int:
    """Operators of a graph and of the bodies inside it."""
    total = len(graph.node)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                total += count_nodes(attribute.g)
    return total
