"""Export of the student as C beside its ONNX files, and its rows of the report."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.core.text import one_line
from aum_edge.errors import AumEdgeError
from aum_edge.export.c.export import export_c
from aum_edge.pipeline.run import Run
from aum_edge.runtimes.c import CClassifier
from aum_edge.runtimes.c_compiler import find_compiler
from aum_edge.training.metrics.classification import evaluate, predict_logits

log = logging.getLogger(__name__)
PROGRAMS = (("student", "prune", "fp32"), ("student_int8", "quantize", "int8"))
"""Stem of the file, the stage whose model it is, the weights' kind."""


def c_files(
    run: Run, folder: Path, clips: Tensor, test: np.ndarray
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write ``student.c`` and ``student_int8.c``, and measure them as compiled here.

    A program that cannot be had does not end the run: a note says why.

    Args:
        run: Its ``prune`` and ``quantize`` stages are done.
        folder: Where the files go.
        clips: Features (B, 1, n_mels, n_frames) for the largest difference of a logit.
        test: Features (N, n_mels, n_frames) of the test split.

    Returns:
        A row for each file, and a line for each that is not there.
    """
    try:
        find_compiler()
    except AumEdgeError as error:
        return [], [_noted("The student was not written as C", error)]
    rows, notes = [], []
    for stem, stage, kind in PROGRAMS:
        try:
            rows.append({"kind": kind, **_row(run, stage, folder / f"{stem}.c", clips, test)})
        except AumEdgeError as error:
            notes.append(_noted(f"{stem}.c was not written", error))
    return rows, notes


def _row(run: Run, stage: str, path: Path, clips: Tensor, test: np.ndarray) -> dict[str, Any]:
    """One file in numbers. ``bytes`` are those of weights and tables, not of the C text."""
    model = run.model(stage)
    report = export_c(model, path, progress=run.progress)
    program = CClassifier(path)
    with torch.inference_mode():
        gap = float((program.logits(clips) - model(clips)).abs().max())
    same = predict_logits(program.logits, test).argmax(1) == predict_logits(model, test).argmax(1)
    scores = evaluate(program.logits, run.data.arrays["test"], run.data.labels, model.activation)
    return {
        **program.describe(),
        "model": path.stem,
        "bytes": report.weight_bytes + report.table_bytes,
        "weight_bytes": report.weight_bytes,
        "table_bytes": report.table_bytes,
        "source_bytes": report.bytes,
        "seconds": report.seconds,
        "max_abs_diff": gap,
        "agreement": float(same.float().mean()),
        "test_accuracy": scores.accuracy,
    }


def _noted(what: str, error: AumEdgeError) -> str:
    line = f"{what}: {one_line(error)}."
    log.warning("%s", line)
    return line
