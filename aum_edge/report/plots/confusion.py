"""The confusion matrix as a picture: one square a cell, darker for a larger share of its row."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from aum_edge.report.plots.figure import FINAL, GRID, INK, MUTED, PAPER, house_style, new_axes, svg
from aum_edge.report.text import clipped

MOST_CLASSES = 60
"""More rows than this cannot be read; the list of frequent mistakes then stands alone."""
NUMBERED = 16
"""Up to so many classes a cell has room for its number."""
DARK = 0.75
"""Above this share the number is in the page's colour: the better contrast, light and dark."""


def matrix_picture(matrix: list[list[float]], labels: Sequence[str], what: str) -> Markup:
    """Rows are true labels, columns are predictions, numbers are clips."""
    classes = len(labels)
    side = min(9.5, max(3.6, 0.5 * classes + 1.9))
    with house_style("confusion"):
        figure, axes = new_axes(side * 0.93, side)
        for row, values in enumerate(matrix):
            total = sum(values)
            for column, value in enumerate(values):
                if value:
                    _cell(axes, (column, row), value, value / total, classes <= NUMBERED)
        size = 11 if classes <= NUMBERED else 7
        names = [clipped(label, 18) for label in labels]
        axes.set_xticks(range(classes), names, rotation=45, ha="right", fontsize=size)
        axes.set_yticks(range(classes), names, fontsize=size)
        for tick in axes.get_xticklabels():
            tick.set_rotation_mode("anchor")
        axes.set_xlim(-0.5, classes - 0.5)
        axes.set_ylim(classes - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.set_xlabel("answered")
        axes.set_ylabel("true")
        axes.tick_params(length=0, labelcolor=MUTED)
        for spine in axes.spines.values():
            spine.set(visible=True, color=GRID)
        return svg(figure, what)


def _cell(axes: Axes, place: tuple[int, int], value: float, share: float, numbered: bool) -> None:
    column, row = place
    axes.add_patch(
        Rectangle(
            (column - 0.48, row - 0.48), 0.96, 0.96, color=FINAL, alpha=max(0.04, share), lw=0
        )
    )
    if numbered:
        color = PAPER if share > DARK else INK
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=10, color=color)
