"""The tables and the picture of benchmarks/growth.py."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from aum_edge.bench.host import busy, host


def page(rows: list[dict[str, Any]], options: argparse.Namespace) -> list[str]:
    """Two tables: by length, by batch."""
    machine = host()
    note = busy(machine)
    return [
        "# Cost as clips get longer and batches larger",
        "",
        f"Command: `python benchmarks/growth.py {' '.join(sys.argv[1:])}`, {date.today()}. Host: "
        f"{machine['cpu']} ({' '.join(machine['cpu_flags'])}), load {machine['load_average']}, "
        f"onnxruntime {machine['onnxruntime']}, torch {machine['torch']}, one thread.",
        "",
        "Milliseconds for each second of audio (median of half a second, at least one run) and "
        "peak memory that the run adds to the loaded model, MB. 256 mels at 64 frames a second, "
        "front end not included, random weights; a file's logits agree with torch within 1e-4, "
        "or its export fails. The stream is the causal student's step graph.",
        *([f"**Note: {note}.**"] if note else []),
        "",
        *table(rows, "seconds", options.seconds, "Length of one clip, s"),
        *table(rows, "batch", options.batches, "Clips of 1 s at once"),
        *(
            f"* {r['model']} {r['kind']}, {r['seconds']} s, batch {r['batch']}: {r['why']}"
            for r in rows
            if "why" in r
        ),
        "",
        "![Cost by length and batch](growth.svg)",
        "",
    ]


def series(rows: list[dict[str, Any]], axis: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Rows along one axis by model and kind."""
    fixed = "batch" if axis == "seconds" else "seconds"
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row[fixed] == 1 and not (axis == "batch" and row["kind"] == "stream"):
            found.setdefault(f"{row['model']}, {row['kind']}", {})[row[axis]] = row
    return found


def per_second(row: dict[str, Any]) -> float:
    """Milliseconds for a second of audio."""
    return float(row["ms"]) / (row["seconds"] * row["batch"])


def table(rows: list[dict[str, Any]], axis: str, at: tuple[int, ...], title: str) -> list[str]:
    """Milliseconds a second of audio / megabytes, one row a model and kind."""
    head = " | ".join(map(str, at))
    lines = [f"## {title}", "", f"| model | {head} |", "|---" * (len(at) + 1) + "|"]
    for name, found in series(rows, axis).items():
        texts = []
        for value in at:
            row = found.get(value, {"why": ""})
            texts.append("–" if "why" in row else f"{per_second(row):.3f} / {row['mb']:.0f}")
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return [*lines, ""]


def picture(rows: list[dict[str, Any]], path: Path) -> None:
    """Both axes, logarithmic."""
    figure, both = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    for axes, axis in zip(both, ("seconds", "batch"), strict=True):
        for name, found in series(rows, axis).items():
            kept = [(at, per_second(row)) for at, row in found.items() if "ms" in row]
            style = "--" if "torch" in name else ":" if "stream" in name else "-"
            if kept:
                axes.loglog(*zip(*kept, strict=True), style, marker="o", label=name)
        axes.set_xlabel("seconds of one clip" if axis == "seconds" else "clips of 1 s at once")
        axes.grid(alpha=0.3)
    both[0].set_ylabel("ms a second of audio")
    both[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
