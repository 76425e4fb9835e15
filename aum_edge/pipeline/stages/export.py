"""Deployment stages: ONNX and C files that agree with the models, and their latency."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.bench.latency import measure
from aum_edge.compression.quantization.config import StaticConfig
from aum_edge.compression.quantization.onnx_static import quantize_onnx
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.pipeline.recipe import Recipe
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.export_c import c_files
from aum_edge.pipeline.stages.quantize import calibration_clips
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.training.metrics.classification import evaluate, predict_logits

CALIBRATION_CLIPS = 128
PARITY_CLIPS = 256


def export(run: Run, folder: Path) -> dict[str, Any]:
    """ONNX files of the student (float, int8 weights) and of the control.

    Where the recipe asks for it, the student is quantized statically as well. It is written as C
    too, where that can be; ``notes`` say why where it cannot.
    """
    test = np.asarray(run.data.arrays["test"].features)
    clips = torch.from_numpy(np.array(test[:PARITY_CLIPS])).unsqueeze(1)
    files = {"student": "prune", "student_int8": "quantize", "control": "control"}
    rows = []
    for name, stage in files.items():
        model = run.model(stage)
        report = export_onnx(model, folder / f"{name}.onnx", run.recipe.export, clips)
        kind = "int8" if name.endswith("int8") else "fp32"
        rows.append({"model": name, "kind": kind, **report.to_dict()})
        rows[-1]["agreement"] = _agreement(model, folder / f"{name}.onnx", test)
    if run.recipe.static_int8 is not None:
        rows.append(_static_file(run, folder, run.recipe.static_int8, clips, test))
    programs, notes = c_files(run, folder, clips, test)
    return {"files": [*rows, *programs], "notes": notes}


def bench(run: Run, folder: Path) -> dict[str, Any]:
    """Latency of every exported file beside the control, interleaved in one run."""
    folder = run.folder("export")
    # A golden vectors' program lies there as well, so the C files are those that the stage names.
    names = [row.get("file", "") for row in run.result("export")["files"]]
    programs = [folder / name for name in names if name.endswith(".c")]
    files = [*sorted(folder.glob("*.onnx")), *programs]
    report = measure(files, run.recipe.bench, progress=run.progress)
    return report.to_dict()


def _agreement(model: AudioClassifier, path: Path, features: np.ndarray) -> float:
    onnx_top = predict_logits(OnnxClassifier(path).logits, features).argmax(1)
    return float((onnx_top == predict_logits(model, features).argmax(1)).float().mean())


def _static_file(
    run: Run, folder: Path, config: StaticConfig, clips: Tensor, test: np.ndarray
) -> dict[str, Any]:
    """Write the student with int8 weights and activations; what it is and how it scores."""
    path = folder / "student_int8_static.onnx"
    drawn = calibration_clips(run.data, CALIBRATION_CLIPS, run.recipe.seed)
    written = quantize_onnx(
        folder / "student.onnx",
        path,
        drawn.features.numpy(),
        config,
        rows=drawn.rows,
        progress=run.progress,
    )
    model = run.model("prune")
    runner = OnnxClassifier(path)
    with torch.inference_mode():
        gap = float((runner.logits(clips) - model(clips)).abs().max())
    scores = evaluate(runner.logits, run.data.arrays["test"], run.data.labels, model.activation)
    return {
        "model": "student_int8_static",
        "kind": "int8-static",
        **runner.describe(),
        "max_abs_diff": gap,
        "agreement": _agreement(model, path, test),
        "test_accuracy": scores.accuracy,
        **written.to_dict(),
    }


def _export_settings(recipe: Recipe) -> dict[str, Any]:
    """What the files depend on; what is not asked for leaves the stage's hash as it was."""
    settings = asdict(recipe.export)
    settings.pop("streaming")  # A recipe refuses it.
    static = recipe.static_int8
    return settings if static is None else {**settings, "static_int8": asdict(static)}


STAGES = (
    Stage(
        name="export",
        needs=("prune", "quantize", "control"),
        settings=_export_settings,
        work=export,
        version=2,
    ),
    Stage(name="bench", needs=("export",), settings=lambda r: asdict(r.bench), work=bench),
)
