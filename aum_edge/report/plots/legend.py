"""Legends above a figure, and the plain frame that the plots share."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from aum_edge.report.plots.figure import GRID, MUTED, role
from aum_edge.report.schema import Model
from aum_edge.report.text import clean, clipped


def model_legend(figure: Figure, models: Sequence[Model], lines: bool = False) -> None:
    """Names of models above a figure: the first a bar, the others marks; or all of them lines."""
    handles: list[Artist] = []
    for index, model in enumerate(models):
        color, marker = role(model["key"], index if lines else index - 1)
        if index == 0 and not lines:
            handles.append(Patch(color=color))
            continue
        handles.append(
            Line2D(
                [],
                [],
                linestyle="-" if lines else "",
                marker=marker,
                color=color,
                markersize=8,
                linewidth=2,
            )
        )
    legend(figure, handles, [clean(model["title"]) for model in models])


def legend(figure: Figure, handles: Sequence[Artist], titles: Sequence[str]) -> None:
    """Names above a figure, at most three a line."""
    figure.legend(
        handles,
        [clipped(title, 24) for title in titles],
        loc="outside upper left",
        ncols=2 if len(titles) == 4 else 3,
        handletextpad=0.3,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def plain_frame(axes: Axes, along: str) -> None:
    """Thin grid lines along one axis only, no ticks, no frame but the base line."""
    axes.grid(axis="x" if along == "x" else "y", color=GRID)
    axes.tick_params(length=0)
    axes.spines["bottom" if along == "x" else "left"].set_visible(False)
    axes.tick_params(axis="x", labelcolor=MUTED)
