"""Names beside points of a plot, where they touch least."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from aum_edge.report.plots.figure import INK, MUTED
from aum_edge.report.text import clipped

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
SHOWN = 20
"""Letters of a name."""
Place = tuple[float, float, float, str, str]


def place_label(
    axes: Axes, title: str, at: tuple[float, float], taken: Sequence[Bbox], gap: float = GAP
) -> Bbox:
    """Write a name near its point, with a line to it from further away; its box in pixels.

    ``gap`` is the nearest distance, in pixels: more for a larger mark.
    """
    text = _annotation(axes, title, at)

    def put(place: Place) -> Bbox:
        reach, dx, dy, horizontal, vertical = place
        text.set(ha=horizontal, va=vertical)
        text.xyann = (dx * gap * reach, dy * gap * reach)
        return text.get_window_extent()

    def cost(place: Place) -> float:
        return trouble(put(place), axes.bbox, taken) + FAR * (place[0] - 1)

    best = min(((reach, *direction) for reach in REACH for direction in DIRECTIONS), key=cost)
    box = put(best)
    if best[0] > 1:
        text.remove()
        text = _annotation(axes, title, at, LEADER)
        put(best)
    return box


def _annotation(
    axes: Axes, title: str, at: tuple[float, float], line: dict[str, Any] | None = None
) -> Annotation:
    return axes.annotate(
        clipped(title, SHOWN),
        at,
        xytext=(0, 0),
        textcoords="offset pixels",
        color=INK,
        zorder=5,
        arrowprops=line,
    )


def trouble(box: Bbox, frame: Bbox, taken: Sequence[Bbox]) -> float:
    """Pixels squared of the label over other things or out of the frame."""
    overlap = 0.0
    padded = box.padded(3)
    for other in taken:
        shared = Bbox.intersection(padded, other)
        overlap += shared.width * shared.height if shared else 0.0
    inside = Bbox.intersection(box, frame)
    kept = inside.width * inside.height if inside else 0.0
    return round(overlap + box.width * box.height - kept, 3)
