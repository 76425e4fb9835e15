"""Quantization sensitivity: divergence from the float model when one tensor alone is rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from aum_edge.report.numbers import nats
from aum_edge.report.plots.figure import (
    FINAL,
    GRID,
    LIMIT,
    PAPER,
    Picture,
    house_style,
    log_ticks,
    new_axes,
    svg,
)

SHOWN = 24
"""Tensors in the picture, the most harmful ones."""
LEAST = 1e-9
"""Nats; what is below is drawn there."""
LOOKS = {"weight": (FINAL, "o"), "input": (LIMIT, "D")}
Row = Mapping[str, Any]


def rounding_picture(tensors: Sequence[Row], kept: Sequence[tuple[str, str]]) -> Picture:
    """A mark a tensor by its loss: full ones are rounded, hollow ones stay precise."""
    rows = sorted(tensors, key=_loss, reverse=True)[:SHOWN]
    kinds = [kind for kind in LOOKS if any(row["kind"] == kind for row in rows)]
    with house_style("rounding"):
        figure, axes = new_axes(0.9 + 0.3 * len(rows))
        for place, row in enumerate(rows):
            color, marker = LOOKS.get(row["kind"], LOOKS["weight"])
            hollow = (row["kind"], row["layer"]) in kept
            axes.plot(
                [max(_loss(row), LEAST)],
                [place],
                marker=marker,
                markersize=8,
                markeredgewidth=2,
                color=color,
                markerfacecolor=PAPER if hollow else color,
            )
        axes.set_xscale("log")
        log_ticks(axes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: nats(value)))
        axes.set_yticks(range(len(rows)), [str(row["layer"]) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("nats; hollow: stays precise")
        axes.grid(axis="x", color=GRID)
        axes.tick_params(length=0)
        handles = [
            Line2D([], [], color=LOOKS[kind][0], marker=LOOKS[kind][1], linestyle="")
            for kind in kinds
        ]
        figure.legend(handles, kinds, loc="outside upper left", ncols=2)
        caption = "Divergence from the float model when one tensor alone is rounded"
        return Picture(caption, svg(figure, _words(rows)))


def _words(rows: Sequence[Row]) -> str:
    """The marks, for those who cannot see them."""
    listed = ", ".join(f"{row['kind']} of {row['layer']} {nats(_loss(row))}" for row in rows)
    return f"Divergence in nats with one tensor rounded: {listed}"


def _loss(row: Row) -> float:
    return float(row["alone"]["loss"])
