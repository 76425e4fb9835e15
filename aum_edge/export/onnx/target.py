"""The target .onnx."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aum_edge.core.progress import Progress
from aum_edge.export.onnx.config import ExportConfig
from aum_edge.export.target import ExportedFile, ExportTarget

if TYPE_CHECKING:
    from aum_edge.models.classifier import AudioClassifier


def _write(
    model: AudioClassifier, out: Path, config: ExportConfig, progress: Progress | None
) -> ExportedFile:
    from aum_edge.export.onnx.export import export_onnx
    from aum_edge.export.onnx.streaming import export_streaming

    return (
        export_streaming(model, out, config)
        if config.streaming
        else export_onnx(model, out, config)
    )


TARGET = ExportTarget(
    ending=".onnx",
    description="one graph for onnxruntime and whatever else reads ONNX",
    config=ExportConfig,
    write=_write,
    options={
        "scan": "how a scan is written: auto|scan|unrolled",
        "streaming": "a step graph with its state, for causal students",
        "with_frontend": "waveform in: the front end is inside the file",
        "dynamic_length": "any number of frames, where that is possible",
        "opset": "of the graph; 18 is read by the most runtimes",
        "atol": "largest logit difference",
    },
)
