"""Accuracy against cost: every model a point, every point with a label that touches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from aum_edge.report.figure import (
    GRID,
    INK,
    LIMIT,
    MUTED,
    house_style,
    log_ticks,
    new_axes,
    role,
    svg,
)
from aum_edge.report.markup import Markup, clipped
from aum_edge.report.numbers import rounded

GAP = 11.0
"""Pixels between a point and its label."""
REACH = (1.0, 1.8, 2.8)
"""How far from its point a label may stand, in gaps."""
FAR = 15.0
"""What a gap of distance costs, in pixels squared of overlap: near beats free of all touch."""
LEADER = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 6}
"""The line from a label that stands away to its point."""
DIRECTIONS = (
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
    (0.8, 0.8, "left", "bottom"),
    (0.8, -0.8, "left", "top"),
    (-0.8, 0.8, "right", "bottom"),
    (-0.8, -0.8, "right", "top"),
)


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
    room = (max(costs) / min(costs)) ** 0.3 * 1.6
    axes.set_xlim(min(costs) / room, max(costs) * room)
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
        taken.append(_point_label(axes, point, taken))


def _point_label(axes: Axes, point: Point, taken: Sequence[Bbox]) -> Bbox:
    text = _annotation(axes, point)
    places = [(reach, *direction) for reach in REACH for direction in DIRECTIONS]

    def put(place: tuple[float, float, float, str, str]) -> Bbox:
        reach, dx, dy, horizontal, vertical = place
        text.set(ha=horizontal, va=vertical)
        text.xyann = (dx * GAP * reach, dy * GAP * reach)
        return text.get_window_extent()

    def cost(place: tuple[float, float, float, str, str]) -> float:
        return _trouble(put(place), axes.bbox, taken) + FAR * (place[0] - 1)

    best = min(places, key=cost)
    box = put(best)
    if best[0] > 1:
        text.remove()
        text = _annotation(axes, point, LEADER)
        put(best)
    return box


def _annotation(axes: Axes, point: Point, line: dict[str, Any] | None = None) -> Annotation:
    return axes.annotate(
        clipped(point.title, 20),
        (point.cost, point.accuracy),
        xytext=(0, 0),
        textcoords="offset pixels",
        color=INK,
        arrowprops=line,
    )


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

    best = min(places, key=lambda place: _trouble(put(place), axes.bbox, taken))
    return put(best)


def _boxes(axes: Axes, point: Point) -> tuple[Bbox, Bbox]:
    """Where a point's mark and the line of its interval are, in pixels."""
    x, y = axes.transData.transform((point.cost, point.accuracy))
    _, low = axes.transData.transform((point.cost, point.interval[0]))
    _, high = axes.transData.transform((point.cost, point.interval[1]))
    mark = Bbox.from_extents(x - 7, y - 7, x + 7, y + 7)
    return mark, Bbox.from_extents(x - 1, low, x + 1, high)


def _trouble(box: Bbox, frame: Bbox, taken: Sequence[Bbox]) -> float:
    """Pixels squared of the label over other things or out of the frame."""
    overlap = 0.0
    padded = box.padded(3)
    for other in taken:
        shared = Bbox.intersection(padded, other)
        overlap += shared.width * shared.height if shared else 0.0
    inside = Bbox.intersection(box, frame)
    kept = inside.width * inside.height if inside else 0.0
    return round(overlap + box.width * box.height - kept, 3)
