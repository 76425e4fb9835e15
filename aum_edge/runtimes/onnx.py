"""Inference with an exported ONNX file in onnxruntime, on the CPU."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from torch import Tensor

from aum_edge.core.text import one_line
from aum_edge.errors import ExportError, RecipeError
from aum_edge.runtimes.contract import INPUT, OPSETS, OUTPUT, WAVEFORM
from aum_edge.runtimes.onnx_metadata import read_metadata

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
TOO_NEW = re.compile(r"opset \d+ is under development|opset is higher|IR version", re.IGNORECASE)
"""onnxruntime's messages for a file that is newer than itself."""


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
        raise ExportError(_refusal(source, one_line(error))) from error


def _refusal(source: Path | bytes, reason: str) -> str:
    """Why onnxruntime did not load a file, and what to do."""
    name = "The exported graph" if isinstance(source, bytes) else str(source)
    runtime = f"onnxruntime {onnxruntime.__version__}"
    if TOO_NEW.search(reason):
        model = onnx.load(source) if isinstance(source, Path) else onnx.load_from_string(source)
        opset = max((entry.version for entry in model.opset_import if not entry.domain), default=0)
        return (
            f"{name} is written in opset {opset} (IR {model.ir_version}), newer than {runtime} "
            f"reads: install a newer onnxruntime, or export with `--opset {OPSETS.start}`."
        )
    return (
        f"{name} is no ONNX file that {runtime} can load ({reason[:200]}): export it again, or "
        "with a lower opset."
    )


class OnnxClassifier:
    """Raw log-mel features in, logits out; normalisation is inside the graph.

    A file with its front end inside takes waveforms instead: ``input_name`` is then ``waveform``,
    and ``input_shape``, the shape of one clip, is (samples,) and not (1, n_mels, n_frames).
    """

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
        if names not in ([INPUT], [WAVEFORM]) or outputs != [OUTPUT]:
            raise ExportError(
                f"{path} maps {names} to {outputs}; a classifier of aum-edge maps ['{INPUT}'] or "
                f"['{WAVEFORM}'] to ['{OUTPUT}']. Export the model with `aum-edge export`."
            )
        props = self.session.get_modelmeta().custom_metadata_map
        read = read_metadata(props, str(path))
        self.labels = read.labels
        self.frontend = read.frontend
        self.normalization = read.normalization
        self.metadata: dict[str, Any] = read.values
        self.input_name: str = names[0]
        self.input_shape: tuple[int, ...] = (1, self.frontend.n_mels, self.frontend.n_frames)
        if self.input_name == WAVEFORM:
            self.input_shape = (self.frontend.clip_samples,)
        self._free = isinstance(self.session.get_inputs()[0].shape[-1], str)

    def logits(self, clips: np.ndarray | Tensor) -> Tensor:
        """Clips (B, *input_shape) to logits (B, n_classes) float32.

        Waveforms may be (B, 1, samples) too. Features are not normalised; a file of dynamic length
        takes any number of frames from 1 on.

        Raises:
            ExportError: If the clips have another shape, or hold NaN or infinity.
        """
        array = clips.detach().cpu().numpy() if isinstance(clips, Tensor) else clips
        if self.input_name == WAVEFORM and array.ndim == 3 and array.shape[1] == 1:
            array = array[:, 0]
        self._check_shape(array)
        array = np.ascontiguousarray(array, dtype=np.float32)
        # A maximum may swallow NaN on its way to the logits, so they would not show it.
        if not np.isfinite(array).all():
            raise ExportError(
                f"The {self.input_name} given to {self.path.name} holds NaN or infinity: there is "
                "nothing to classify."
            )
        return torch.from_numpy(self.run(array))

    def _check_shape(self, array: np.ndarray) -> None:
        wanted = self.input_shape
        given = (*array.shape[1:-1], wanted[-1]) if self._free and array.ndim else array.shape[1:]
        if array.ndim != len(wanted) + 1 or given != wanted or not array.size:
            sizes = ["batch", *map(str, wanted[:-1]), "frames" if self._free else str(wanted[-1])]
            kind = "waveforms" if self.input_name == WAVEFORM else "features"
            raise ExportError(
                f"{self.path.name} takes {kind} ({', '.join(sizes)}), none of them 0, got "
                f"{array.shape}: make them with the front end in its metadata."
            )

    def run(self, clips: np.ndarray) -> np.ndarray:
        """The same on a float32 array, unchecked: what the benchmark times."""
        return self.session.run([OUTPUT], {self.input_name: clips})[0]

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
