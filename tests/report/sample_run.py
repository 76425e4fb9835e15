"""The made-up run behind the sample report: files, latencies, stages, recipe."""

from __future__ import annotations

import hashlib
from typing import Any


def export() -> list[dict[str, Any]]:
    rows = [
        ("student_pruned", "student.onnx", "fp32", 251_330, 318, 1.9e-6, 1.0, "scan"),
        ("student_int8", "student_int8.onnx", "int8", 88_902, 371, 2.4e-6, 1.0, "scan"),
        ("control", "control.onnx", "fp32", 252_118, 96, 9.5e-7, 1.0, None),
        (
            "student_int8_static",
            "student_int8_static.onnx",
            "int8-static",
            96_540,
            447,
            0.41,
            0.973,
            "scan",
        ),
    ]
    return [
        {
            "model": model,
            "file": file,
            "kind": kind,
            "bytes": size,
            "sha256": _digest(file),
            "nodes": nodes,
            "seconds": 3.2,
            "load_ms": 0.04 * nodes,
            "max_abs_diff": gap,
            "agreement": same,
            "scan": scan,
            **({"test_accuracy": 0.5862} if kind == "int8-static" else {}),
        }
        for model, file, kind, size, nodes, gap, same, scan in rows
    ]


def bench() -> dict[str, Any]:
    medians = {
        "control": 1.214,
        "student": 1.467,
        "student_int8": 1.523,
        "student_int8_static": 1.688,
    }
    rows = [
        {
            "model": name,
            "runtime": "onnxruntime",
            "threads": 1,
            "runs": 200,
            "p50_ms": p50,
            "p90_ms": 1.08 * p50,
            "p99_ms": 1.31 * p50,
            "min_ms": 0.95 * p50,
            "load_ms": 14.2,
            "rss_mb": 71.3,
            "rtf": p50 / 1000,
            "sha256": _digest(name),
        }
        for name, p50 in medians.items()
    ]
    return {
        "host": {
            "cpu": "Example CPU @ 2.60 GHz",
            "cores": 2,
            "logical_cores": 4,
            "memory_mb": 7_812,
            "os": "Linux-6.12-x86_64-with-glibc2.39",
            "governor": None,
            "load_average": [0.4, 0.3, 0.2],
        },
        "rows": rows,
        "control": "control",
        "ratios": {name: p50 / medians["control"] for name, p50 in medians.items()},
    }


def recipe() -> dict[str, Any]:
    return {
        "name": "tau-student-ssd",
        "seed": 0,
        "limits": "dcase2025",
        "data": {"corpus": "tau2022", "subset": "split25", "val_fraction": 0.15},
        "frontend": {"kind": "log_mel", "sample_rate": 32_000, "n_fft": 2048, "n_mels": 128},
        "teacher": {"model": {"preset": "aum-small"}, "train": {"epochs": 40, "lr": 0.002}},
        "student": {
            "model": {"preset": "student-ssd", "overrides": {}},
            "distill": {"kd_lambda": 0.7},
        },
        "prune": {
            "cut": {"max_macs": 2.4e6, "max_bytes": 64_000, "dimensions": ["inner", "state"]}
        },
        "quantize": {"method": "mse", "skip": []},
    }


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def stages() -> list[dict[str, Any]]:
    return [
        {"name": name, "seconds": seconds, "resumed": name == "data"}
        for name, seconds in (
            ("data", 41.2),
            ("teacher", 5_310.0),
            ("distill", 1_642.8),
            ("prune", 611.3),
            ("quantize", 3.9),
            ("control", 1_204.6),
            ("export", 18.2),
            ("bench", 25.7),
        )
    ]


def environment() -> dict[str, Any]:
    return {
        "aum_edge": "0.1.0",
        "python": "3.12.4",
        "torch": "2.13.0",
        "lightning": "2.6.1",
        "onnx": "1.21.0",
        "onnxruntime": "1.25.0",
        "torch-pruning": "1.6.0",
        "numpy": "2.4.0",
        "platform": "Linux-6.12-x86_64-with-glibc2.39",
    }
