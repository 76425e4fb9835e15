"""A made-up report of realistic size: ten scenes, nine devices, five models."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from tests.report.sample_run import bench, environment, export, recipe, stages

LABELS = [
    "airport",
    "bus",
    "metro",
    "metro_station",
    "park",
    "public_square",
    "shopping_mall",
    "street_pedestrian",
    "street_traffic",
    "tram",
]
SEEN = ["a", "b", "c", "s1", "s2", "s3"]
UNSEEN = ["s4", "s5", "s6"]
LIMITS = {"name": "dcase2025", "macs": 30_000_000, "param_bytes": 128_000}


def sample() -> dict[str, Any]:
    """A whole report."""
    models = [
        _model("teacher", "Teacher", "AudioMamba", 0.634, (4_932_106, 19_728_424, 1_312.4, 9.85)),
        _model(
            "student_distilled",
            "Student, distilled",
            "MambaStudent",
            0.601,
            (98_410, 393_640, 4.91, 0.84),
        ),
        _model(
            "student_pruned",
            "Student, pruned",
            "MambaStudent",
            0.594,
            (57_226, 228_904, 2.38, 0.52),
        ),
        _model(
            "student_int8", "Student, int8", "MambaStudent", 0.591, (57_226, 63_480, 2.38, 0.52)
        ),
        _model("control", "CNN control", "CPMobile", 0.579, (61_148, 244_592, 29.42, 29.42)),
    ]
    return {
        "schema_version": 1,
        "title": "Small Mamba students for acoustic scenes",
        "created": "2026-11-21T03:14:15+00:00",
        "recipe": {"name": "tau-student-ssd", "path": "/x/y/recipe.yaml", "resolved": recipe()},
        "corpus": {
            "name": "tau2022-split25",
            "labels": LABELS,
            "n_train": 29_680,
            "n_val": 5_210,
            "n_test": 29_680,
            "train_devices": SEEN,
            "test_devices": SEEN + UNSEEN,
        },
        "models": models,
        "limits": dict(LIMITS),
        "verdict": {
            "model": "student_int8",
            "within": True,
            "lines": [
                "Student, int8 is inside the dcase2025 limits by the exact count: "
                "2,380,000 of 30,000,000 MACs; 63,480 of 128,000 bytes.",
                "Student, int8 is inside the dcase2025 limits by the official count: "
                "520,000 of 30,000,000 MACs; 63,480 of 128,000 bytes.",
            ],
        },
        "export": export(),
        "bench": bench(),
        "stages": stages(),
        "environment": environment(),
    }


def minimal() -> dict[str, Any]:
    """Only the required keys, one model."""
    return {
        "schema_version": 1,
        "title": "Bare",
        "created": "2026-11-21T00:00:00+00:00",
        "recipe": {"name": "bare"},
        "corpus": {
            "name": "folder",
            "labels": ["no", "yes"],
            "n_train": 8,
            "n_val": 2,
            "n_test": 4,
        },
        "models": [
            {
                "key": "student_int8",
                "title": "Student",
                "stage": "quantize",
                "architecture": "MambaStudent",
                "n_params": 10,
                "eval": {"n": 4, "accuracy": 0.5, "macro_accuracy": 0.5, "log_loss": None},
                "complexity": {
                    "exact": {"macs": 1000, "param_bytes": 40},
                    "official": {"macs": 0, "param_bytes": 40},
                    "within_limits": {"exact": True, "official": True},
                },
            }
        ],
        "limits": {"name": "none", "macs": None, "param_bytes": None},
        "verdict": {"model": "student_int8", "within": True, "lines": []},
    }


def _model(
    key: str, title: str, architecture: str, accuracy: float, cost: tuple[int, int, float, float]
) -> dict[str, Any]:
    n_params, size, exact, official = cost
    random = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16))
    macs = int(exact * 1e6)
    inside = macs <= LIMITS["macs"] and size <= LIMITS["param_bytes"]
    stage = {"teacher": "teacher", "control": "control"}.get(key, key.removeprefix("student_"))
    return {
        "key": key,
        "title": title,
        "stage": {"distilled": "distill", "pruned": "prune", "int8": "quantize"}.get(stage, stage),
        "architecture": architecture,
        "n_params": n_params,
        "eval": _evaluation(random, accuracy),
        "complexity": {
            "exact": {
                "macs": macs,
                "macs_by_op": _split(macs, _operators(architecture)),
                "special_functions": _special(architecture, macs),
                "n_params": n_params,
                "param_bytes": size,
                "buffer_bytes": 520,
                "state_elements": 0 if architecture == "CPMobile" else macs // 9,
                "peak_activation_bytes": macs // 12 + 90_000,
            },
            "official": {
                "rule": "torchinfo 1.8.0 total_mult_adds, bytes of model.parameters()",
                "macs": int(official * 1e6),
                "param_bytes": size,
                "n_params": n_params,
            },
            "bytes": {
                "by_precision": {
                    "int8": {"tensors": 9, "elements": n_params, "bytes": n_params},
                    "float32": {"tensors": 7, "elements": 130, "bytes": 520},
                },
                "scale_bytes": 260,
                "zero_params": 12,
                "payload_bytes": n_params + 520,
            },
            "front_end": {
                "macs_by_stage": {"window": 199_680, "fft": 3_194_880, "mel": 264_355},
                "macs": 3_658_915,
                "macs_dense_filters": 37_756_290,
                "table_bytes": 46_988,
                "working_bytes": 33_800,
                "feature_bytes": 66_560,
            },
            "limits": dict(LIMITS),
            "within_limits": {"exact": inside, "official": official <= 30 and size <= 128_000},
            "input_shape": [1, 1, 128, 65],
            "layers": _layers(architecture, macs),
        },
        "history": [] if key == "student_int8" else _history(random, accuracy, 40),
        "lineage": [
            {"step": "student", "preset": "student-ssd", "seed": 0},
            {"step": "prune", "macs": [4_910_000, 2_380_000], "importance": "taylor"},
            {"step": "quantize", "bits": 8, "granularity": "per_channel"},
        ],
    }


def _evaluation(random: np.random.Generator, accuracy: float) -> dict[str, Any]:
    shift = np.array([-0.12, 0.15, -0.02, -0.08, 0.22, -0.17, 0.03, -0.24, 0.17, 0.06])
    right = np.clip(accuracy + shift + random.normal(0, 0.025, 10), 0.05, 0.97)
    confusion = []
    for row in range(10):
        near = np.exp(-0.5 * np.abs(np.arange(10) - row)) * random.uniform(0.3, 1.6, 10)
        near[row] = 0
        counts = np.round(2968 * (1 - right[row]) * near / near.sum()).astype(int)
        counts[row] = 2968 - counts.sum()
        confusion.append(counts.tolist())
    hits = [confusion[row][row] / 2968 for row in range(10)]
    overall = float(np.mean(hits))
    drops = dict(
        zip(SEEN + UNSEEN, (0.09, 0.02, 0.04, 0, 0.01, 0, -0.05, -0.05, -0.09), strict=True)
    )
    return {
        "n": 29_680,
        "accuracy": overall,
        "macro_accuracy": overall,
        "log_loss": 1.9 - 1.35 * overall,
        "segment_accuracy": overall,
        "per_class": dict(zip(LABELS, hits, strict=True)),
        "per_device": {
            name: float(overall + drop + random.normal(0, 0.008)) for name, drop in drops.items()
        },
        "confusion": confusion,
    }


def _operators(architecture: str) -> dict[str, float]:
    if architecture == "CPMobile":
        return {"conv2d": 0.987, "mul": 0.011, "linear": 0.002}
    return {
        "linear": 0.47,
        "conv2d": 0.22,
        "scan": 0.19,
        "matmul": 0.05,
        "conv1d": 0.03,
        "mul": 0.025,
        "rms_norm": 0.015,
    }


def _special(architecture: str, macs: int) -> dict[str, int]:
    if architecture == "CPMobile":
        return {"div": 10, "exp": 10}
    return {
        "exp": macs // 60,
        "log": macs // 200,
        "rsqrt": 1_050,
        "sigmoid": macs // 120,
        "div": macs // 400,
    }


def _split(total: int, parts: dict[str, float]) -> dict[str, int]:
    return {name: int(total * share) for name, share in parts.items()}


def _layers(architecture: str, macs: int) -> list[dict[str, Any]]:
    if architecture == "CPMobile":
        names = [
            "stem",
            *(f"stages.{i}.{part}" for i in range(6) for part in ("expand", "dw", "project")),
        ]
    else:
        names = ["stem.0", "stem.1", "stem.2"]
        for block in range(3):
            parts = ("in_proj", "conv1d", "scan", "norm", "out_proj")
            names += [f"blocks.{block}.mixer.{part}" for part in parts]
    names.append("head")
    weights = np.linspace(2.0, 0.6, len(names))
    weights[-1] = 0.02
    return [
        {"name": f"backbone.{name}", "macs": int(macs * weight)}
        for name, weight in zip(names, weights / weights.sum(), strict=True)
    ]


def _history(random: np.random.Generator, accuracy: float, epochs: int) -> list[dict[str, Any]]:
    rows = []
    for epoch in range(epochs):
        grown = 1 - np.exp(-(epoch + 1) / 8)
        noise = random.normal(0, 0.008)
        rows.append(
            {
                "epoch": epoch,
                "train_loss": float(2.3 - 1.45 * grown + noise),
                "val_loss": float(2.3 - 1.15 * grown + 2 * noise),
                "val_accuracy": float(0.1 + (accuracy - 0.1) * grown - noise),
                "lr": 0.005 * (1 - epoch / epochs),
            }
        )
    return rows
