"""Accuracy by device: the general model against each device's own one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aum_edge.report.plots.figure import (
    FINAL,
    GRID,
    MUTED,
    PAPER,
    Picture,
    house_style,
    new_axes,
    svg,
)

HEIGHT = 0.42
"""Inches of a device on the picture."""


def device_models_picture(family: Mapping[str, Any]) -> Picture:
    """A bar for each device's own model and a mark for the general one."""
    rows = family["devices"]
    words = "; ".join(
        f"{row['device']} {100 * row['general']['accuracy']:.1f} to "
        f"{100 * row['specific']['accuracy']:.1f} %"
        for row in rows
    )
    with house_style(f"device-models-{family['key']}"):
        figure, axes = new_axes(0.9 + HEIGHT * len(rows))
        values = [100 * row["specific"]["accuracy"] for row in rows]
        bars = axes.barh(range(len(rows)), values, height=0.62, color=FINAL)
        marks = axes.plot(
            [100 * row["general"]["accuracy"] for row in rows],
            range(len(rows)),
            "D",
            color=MUTED,
            markersize=8,
            markeredgecolor=PAPER,
            linestyle="none",
        )
        for place, row in enumerate(rows):
            end = 100 * max(row["general"]["accuracy"], row["specific"]["accuracy"])
            axes.text(end + 3, place, f"{values[place]:.1f}", va="center")
        axes.set_yticks(range(len(rows)), [f"{row['device']}  ({row['group']})" for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 112)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="x", color=GRID)
        axes.tick_params(length=0)
        handles = [bars[0], marks[0]]
        titles = ["device's own model", "general model"]
        figure.legend(handles, titles, loc="outside upper left", ncols=2)
        what = f"{family['title']}, accuracy general to device-specific: {words}"
        return Picture(f"{family['title']}: general and device-specific", svg(figure, what))
