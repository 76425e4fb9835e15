"""Pruning sensitivity: training loss when one kind of group is cut alone, by MACs saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from aum_edge.report.numbers import rounded
from aum_edge.report.plots.figure import (
    CONTROL,
    DISTILLED,
    FINAL,
    GRID,
    INK,
    MUTED,
    PRUNED,
    TEACHER,
    Picture,
    house_style,
    new_axes,
    svg,
)

NAMES = {
    "inner": "inner channels or heads",
    "state": "states",
    "dt_rank": "delta rank",
    "head_dim": "channels of every head",
    "direction": "directions",
    "block": "blocks",
    "d_model": "width",
    "stem": "stem channels",
}
LOOKS = (
    (FINAL, "o"), (CONTROL, "D"), (TEACHER, "s"), (DISTILLED, "^"),
    (PRUNED, "v"), (INK, "X"), (MUTED, "P"), (FINAL, "*"),
)  # fmt: skip
Row = Mapping[str, Any]


def sensitivity_picture(rows: Sequence[Row]) -> Picture:
    """Loss by MACs saved: the kind with the lowest curve gives work away most cheaply."""
    base = next((row for row in rows if row["dimension"] == "none"), rows[0])
    kinds = list(dict.fromkeys(row["dimension"] for row in rows if row["dimension"] != "none"))
    handles: list[Line2D] = []
    with house_style("sensitivity"):
        figure, axes = new_axes(3.8)
        for index, kind in enumerate(kinds):
            points = [base, *(row for row in rows if row["dimension"] == kind)]
            saved = [100 * (1 - row["macs"] / base["macs"]) for row in points]
            color, marker = LOOKS[index % len(LOOKS)]
            handles += axes.plot(
                saved,
                [row["loss"] for row in points],
                color=color,
                marker=marker,
                markersize=5,
                linewidth=1.8,
            )
        axes.set_xlabel("MACs saved, %")
        axes.set_ylabel("loss")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: rounded(value)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y", color=GRID)
        axes.tick_params(length=0)
        titles = [NAMES.get(kind, kind) for kind in kinds]
        figure.legend(handles, titles, loc="outside upper left", ncols=2)
        caption = "Training loss when one kind of group is cut alone, the least units first"
        return Picture(caption, svg(figure, _words(rows, kinds, base)))


def _words(rows: Sequence[Row], kinds: Sequence[str], base: Row) -> str:
    """The curves' ends, for those who cannot see them."""
    ends = []
    for kind in kinds:
        last = [row for row in rows if row["dimension"] == kind][-1]
        saved = 100 * (1 - last["macs"] / base["macs"])
        ends.append(f"{NAMES.get(kind, kind)} {last['loss']:.2f} at {saved:.0f} % of MACs saved")
    return f"Loss {base['loss']:.2f} uncut; cut the furthest, {'; '.join(ends)}"
