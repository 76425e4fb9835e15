"""Accuracy against cost: every model a point, every point with a label that touches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from aum_edge.report.numbers import rounded
from aum_edge.report.plots.figure import (
    GRID,
    LIMIT,
    MUTED,
    house_style,
    log_ticks,
    new_axes,
    role,
    svg,
)
from aum_edge.report.plots.label_placement import place_label, trouble


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model: its cost, its accuracy in percent and the 95 % interval of that."""

    key: str
    title: str
    cost: float
    accuracy: float
    interval: tuple[float, float]


def pareto(points: Sequence[Point], limit: float | None, unit: str, what: str) -> Markup:
    """Accuracy in percent over a logarithmic cost, the limit as a dashed line."""
    drawn = [point for point in points if point.cost > 0]
    with house_style(unit):
        figure, axes = new_axes(4.1)
        axes.set_xscale("log")
        _bounds(axes, drawn, limit)
        for index, point in enumerate(drawn):
            color, marker = role(point.key, index)
            axes.plot([point.cost] * 2, point.interval, color=color, linewidth=1.4, alpha=0.55)
            axes.plot([point.cost], [point.accuracy], marker, color=color, markersize=10)
        if limit:
            axes.axvline(limit, color=LIMIT, linewidth=1.5, linestyle=(0, (4, 3)), zorder=1)
        axes.set_xlabel(f"{unit}, logarithmic")
        axes.set_ylabel("test accuracy, %")
        log_ticks(axes)
        axes.grid(color=GRID)
        axes.tick_params(which="both", length=0, labelcolor=MUTED)
        _place_labels(figure, axes, drawn, limit)
        return svg(figure, what)


def _bounds(axes: Axes, points: Sequence[Point], limit: float | None) -> None:
    costs = [point.cost for point in points] + ([limit] if limit else [])
    # A label is about a quarter of the axes wide: so much room lets it stand on either side.
    margin = (max(costs) / min(costs)) ** 0.3 * 1.6
    axes.set_xlim(min(costs) / margin, max(costs) * margin)
    low = min(point.interval[0] for point in points)
    high = max(point.interval[1] for point in points)
    above = max(2.0, 0.12 * (high - low))
    axes.set_ylim(low - above, high + above)


def _place_labels(figure: Figure, axes: Axes, points: Sequence[Point], limit: float | None) -> None:
    """Put each label at the nearest free place around its point, and the limit's on its line."""
    figure.draw_without_rendering()
    taken = [box for point in points for box in _boxes(axes, point)]
    if limit:
        taken.append(_limit_label(axes, limit, taken))
        x = axes.transData.transform((limit, 0))[0]
        taken.append(Bbox.from_extents(x - 4, axes.bbox.y0, x + 4, axes.bbox.y1))
    for point in sorted(points, key=lambda point: -point.accuracy):
        at = (point.cost, point.accuracy)
        taken.append(place_label(axes, point.title, at, taken))


def _limit_label(axes: Axes, limit: float, taken: Sequence[Bbox]) -> Bbox:
    """The limit's name beside its line, at the corner where it touches least."""
    text = axes.annotate(
        f"limit {rounded(limit)}",
        (limit, 0),
        xytext=(0, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset pixels",
        color=LIMIT,
        fontsize=11,
    )
    places = [
        (height, x, side) for height in (0.02, 0.98) for x, side in ((5, "left"), (-5, "right"))
    ]

    def put(place: tuple[float, int, str]) -> Bbox:
        height, x, side = place
        text.xy = (limit, height)
        text.set(ha=side, va="bottom" if height < 0.5 else "top")
        text.xyann = (x, 0)
        return text.get_window_extent()

    best = min(places, key=lambda place: trouble(put(place), axes.bbox, taken))
    return put(best)


def _boxes(axes: Axes, point: Point) -> tuple[Bbox, Bbox]:
    """Where a point's mark and the line of its interval are, in pixels."""
    x, y = axes.transData.transform((point.cost, point.accuracy))
    _, low = axes.transData.transform((point.cost, point.interval[0]))
    _, high = axes.transData.transform((point.cost, point.interval[1]))
    mark = Bbox.from_extents(x - 7, y - 7, x + 7, y + 7)
    return mark, Bbox.from_extents(x - 1, low, x + 1, high)
