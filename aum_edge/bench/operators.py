"""Time of an .onnx file by groups of operators, from onnxruntime's profiler."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import onnxruntime

from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.runtimes.runtime import example_for

GROUPS = {
    "convolution": ("Conv", "FusedConv", "QLinearConv", "ConvInteger", "NhwcFusedConv"),
    "matrix products": (
        "MatMul",
        "FusedMatMul",
        "Gemm",
        "FusedGemm",
        "QLinearMatMul",
        "QGemm",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "Einsum",
    ),
    "scan loop": ("Scan", "Loop"),
    "exp, log, sigmoid, gates": ("Exp", "Log", "Sigmoid", "QuickGelu", "Softplus", "Tanh", "Abs"),
    "add, multiply, norms": (
        *("Add", "Mul", "Sub", "Div", "Neg", "Pow", "Sqrt", "Reciprocal", "Relu", "Clip", "Max"),
        *(
            "ReduceMean",
            "ReduceSum",
            "CumSum",
            "LayerNormalization",
            "SimplifiedLayerNormalization",
        ),
        *("SkipLayerNormalization", "BatchNormalization", "ReduceSumSquare", "Greater", "Where"),
    ),
    "int8 conversion": ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"),
    "moving data": (
        *("Transpose", "Reshape", "Concat", "Slice", "Split", "Gather", "Unsqueeze", "Squeeze"),
        *("Expand", "Tile", "Pad", "Cast", "Shape", "ConstantOfShape", "ReorderInput"),
        *("ReorderOutput", "Identity", "Flatten", "GatherElements", "GatherND", "ScatterND"),
    ),
}
OTHER = "other"
WARMUP = 3
"""Runs that are not counted: in the first ones memory is claimed."""


def group_of(operator: str) -> str:
    """The group of an operator type; nodes inside a Scan count as its loop's."""
    return next((name for name, types in GROUPS.items() if operator in types), OTHER)


def operator_times(path: str | Path, threads: int = 1, runs: int = 50) -> dict[str, float]:
    """Microseconds a run (median) in each group of operators, the largest first.

    Profiling itself takes about a microsecond a node, so the sum is more than a run's time.

    Raises:
        ExportError: If the file is no classifier of ours.
    """
    classifier = OnnxClassifier(path, threads)
    declared = classifier.session.get_inputs()[0]
    feed = {declared.name: example_for(declared.shape, classifier.frontend, 1, 0)}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        for _ in range(WARMUP + runs):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return grouped(events)


def grouped(events: list[dict[str, Any]], warmup: int = WARMUP) -> dict[str, float]:
    """Microseconds a run by group, the medians of all runs but the first ``warmup``.

    Others that use the machine make single operators a hundred times slower now and then, which
    the mean of a few runs would show as a model's own time.
    """
    spans = [(e["ts"], e["ts"] + e["dur"]) for e in events if e.get("name") == "model_run"]
    kernels = [e for e in events if e.get("name", "").endswith("_kernel_time")]
    found: list[dict[str, float]] = []
    for begin, end in sorted(spans)[warmup:]:
        found.append(_of_run([e for e in kernels if begin <= e["ts"] < end]))
    names = {name for times in found for name in times}
    medians = {name: median(times.get(name, 0.0) for times in found) for name in names}
    return dict(sorted(medians.items(), key=lambda item: -item[1]))


def _of_run(kernels: list[dict[str, Any]]) -> dict[str, float]:
    """Microseconds by group; what runs inside a Scan is part of the Scan's own time."""
    loops = [(e["ts"], e["ts"] + e["dur"]) for e in kernels if group_of(_type(e)) == "scan loop"]
    loops.sort()
    found: dict[str, float] = defaultdict(float)
    at = 0
    for event in sorted(kernels, key=lambda e: (e["ts"], -e["dur"])):
        while at < len(loops) and loops[at][1] <= event["ts"]:
            at += 1
        inside = (
            at < len(loops)
            and loops[at][0] <= event["ts"]
            and group_of(_type(event)) != "scan loop"
        )
        if not inside:
            found[group_of(_type(event))] += event["dur"]
    return found


def _type(event: dict[str, Any]) -> str:
    return str(event.get("args", {}).get("op_name", ""))
