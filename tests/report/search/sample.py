"""A made-up report of a search: a front of three, a trial ended early, references, presets."""

from __future__ import annotations

from typing import Any

ODD = "<script>alert(1)</script>"


def search_sample() -> dict[str, Any]:
    """A whole report, with odd texts where a corpus or a recipe may bring them."""
    trials = [
        _trial(1, 0.61, 2e6, front=True),
        _trial(2, 0.70, 6e6, front=True),
        _trial(3, 0.55, 7e6),
        _trial(4, 0.30, 8e6, state="pruned"),
        _trial(5, 0.74, 15e6, front=True),
    ]
    return {
        "kind": "search",
        "schema_version": 1,
        "title": f"Search {ODD}",
        "created": "2026-10-01T10:00:00+00:00",
        "recipe": {
            "name": "small",
            "resolved": {
                "sampler": {"kind": "tpe"},
                "teacher": None,
                "seed": 3,
                "space": {"d_model": {"low": 8, "high": 24}, ODD: "\ta & b"},
            },
        },
        "corpus": {"name": "tones", "labels": ["a", "b"], "n_train": 1_000, "n_val": 200},
        "objectives": ["accuracy", "macs"],
        "pruner": "none",
        "storage": "journal",
        "hosts": {"host": 5},
        "seconds": 1_234.0,
        "limits": {"name": "dcase2025", "macs": 30e6, "param_bytes": 128_000},
        "counts": {"complete": 4, "pruned": 1, "failed": 1, "rejected": 2, "repeat": 0},
        "rejections": {"exact_macs": 2},
        "front": [trial for trial in trials if trial["front"]],
        "trials": trials,
        "failures": [{"number": 9, "reason": ODD}],
        "references": {"cp-mobile": _reference(0.66, 10e6), "student-ssd": _reference(0.6, 20e6)},
        "presets": {
            "cp-mobile": {**_cost(10e6), "over": {}},
            "student-s6": {**_cost(45e6), "over": {"exact_macs": 0.5}},
        },
        "importance": {"accuracy": {"d_model": 0.7, "train.lr": 0.3}, "macs": {}},
        "by_value": [{"field": "d_model", "value": "8", "trials": 2, "mean": 0.5, "best": 0.6}],
        "environment": {"aum_edge": "0.1.0", "torch": "2.9"},
    }


def _trial(
    number: int, accuracy: float, macs: float, state: str = "complete", front: bool = False
) -> dict[str, Any]:
    return {
        **_cost(macs),
        "number": number,
        "state": state,
        "front": front,
        "accuracy": accuracy,
        "accuracy_float": accuracy + 0.01,
        "params": {"d_model": 8 * number, "train.lr": 0.00123},
        "curve": [0.5 * accuracy, 0.8 * accuracy, accuracy],
        "seconds": 40.0 * number,
        "command": f"aum-edge run full.yaml --set name=trial-{number} --set d_model={8 * number}",
        "latency": {"ratio": 0.9} if number == 1 else None,
    }


def _cost(macs: float) -> dict[str, float]:
    return {"macs": macs, "official_macs": 0.6 * macs, "bytes": macs / 40, "n_params": macs // 40}


def _reference(accuracy: float, macs: float) -> dict[str, Any]:
    return {
        "objectives": {"accuracy": accuracy},
        "val_float": {"macro_accuracy": accuracy + 0.01},
        "cost": _cost(macs),
        "params": {},
    }
