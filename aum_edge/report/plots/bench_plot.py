"""The picture of `aum-edge bench --plot`: median bars and the 99th percentile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from matplotlib.colors import to_rgba

from aum_edge.report.numbers import milliseconds, times
from aum_edge.report.palette import LIGHT
from aum_edge.report.plots.figure import (
    CONTROL,
    DISTILLED,
    FINAL,
    GRID,
    INK,
    MUTED,
    TEACHER,
    VARIABLES,
    house_style,
    new_axes,
)
from aum_edge.report.text import clipped

RUNTIMES = {"onnxruntime": FINAL, "torch": TEACHER, "openvino": DISTILLED}
ROW = 0.42
"""Inches of a bar and its gap."""


def save_plot(values: Mapping[str, Any], path: Path) -> None:
    """Write the document of a bench as a picture on white; the suffix is the format.

    Colours are the runtimes', the control's bar has its own.
    """
    rows = values["rows"]
    most = max(row["p99_ms"] for row in rows)
    with house_style("bench"):
        figure, axes = new_axes(1.2 + ROW * len(rows), 8.4)
        for y, row in enumerate(rows):
            own = RUNTIMES.get(row["runtime"], MUTED)
            color = CONTROL if row["model"] == values["control"] else own
            axes.barh(y, row["p50_ms"], height=0.6, color=_real(color))
            axes.plot([row["p50_ms"], row["p99_ms"]], [y, y], color=_real(MUTED), linewidth=1.3)
            for name, size in (("p90_ms", 8), ("p99_ms", 12)):
                axes.plot([row[name]], [y], "|", color=_real(MUTED), markersize=size, mew=1.5)
            label = f"{milliseconds(row['p50_ms'])} ms  ({times(row['ratio'])})"
            axes.text(row["p99_ms"] + 0.02 * most, y, label, va="center", color=_real(INK))
        axes.set_yticks(range(len(rows)), [_title(row) for row in rows], color=_real(INK))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1.45 * most)
        axes.set_xlabel("ms a run; ticks: 90th and 99th percentile", color=_real(MUTED))
        axes.tick_params(axis="x", color=_real(GRID), labelcolor=_real(INK))
        axes.spines[:].set_color(_real(GRID))
        axes.set_title(clipped(values["host"]["cpu"], 60), color=_real(INK), fontsize=12)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, facecolor="white", dpi=150, metadata=_no_date(path))


def _title(row: Mapping[str, Any]) -> str:
    name = clipped(PureWindowsPath(row["model"]).name, 28)
    return f"{name}\n{row['runtime']}, {row['threads']} thr"


def _real(stand_in: str) -> tuple[float, float, float, float]:
    """The page's light colour that a chart's stand-in means."""
    return to_rgba(LIGHT[VARIABLES[stand_in]])


def _no_date(path: Path) -> dict[str, None] | None:
    return {"Date": None} if path.suffix.lower() == ".svg" else None
