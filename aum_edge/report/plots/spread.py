"""Accuracy of several models over many runs: every run a dot, the mean a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

DOT, MEAN, GRID = "#3b6ea5", "#b3372f", "#d5d8dc"
ROW = 0.34
"""Inches of height a model."""


def draw_spread(values: Mapping[str, Sequence[float]], path: Path, label: str) -> None:
    """Write an SVG file of its own: models from top to bottom, percent from left to right.

    Args:
        values: Percent of every run, by model; at least one each.
        path: The file.
        label: Of the axis.
    """
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "spread", "font.size": 11}):
        figure = Figure(figsize=(8, 1.1 + ROW * len(values)), layout="constrained")
        axes = figure.add_subplot()
        for row, runs in enumerate(values.values()):
            shifts = [0.22 * (index / max(1, len(runs) - 1) - 0.5) for index in range(len(runs))]
            heights = [row + shift for shift in shifts]
            axes.plot(runs, heights, "o", color=DOT, alpha=0.55, markersize=5, markeredgewidth=0)
            mean = sum(runs) / len(runs)
            axes.plot([mean, mean], [row - 0.32, row + 0.32], color=MEAN, linewidth=2.4)
            axes.annotate(
                f"{mean:.1f}", (mean, row - 0.3), fontsize=9, color=MEAN, ha="center", va="bottom"
            )
        axes.set_yticks(range(len(values)), list(values))
        axes.set_ylim(len(values) - 0.4, -0.75)
        axes.set_xlabel(label)
        axes.grid(axis="x", color=GRID)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)
        figure.savefig(path, format="svg", metadata={"Date": None})
