"""Plots of a search: accuracy over cost, curves of the trials, importance of the fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from aum_edge.report.numbers import rounded
from aum_edge.report.plots.figure import (
    CONTROL,
    DISTILLED,
    FINAL,
    GRID,
    LIMIT,
    MUTED,
    PAPER,
    TEACHER,
    house_style,
    log_ticks,
    new_axes,
    svg,
)
from aum_edge.report.plots.label_placement import GAP, place_label
from aum_edge.report.text import clipped

SMALLEST, LARGEST = 40.0, 420.0
"""Areas of bubbles in points squared."""
ROW = 0.33
"""Inches of a bar and its gap."""
LABELS = 6
"""Front members that carry their number; the table has them all."""


@dataclass(frozen=True, kw_only=True)
class Bubble:
    """A model: cost along the axis, accuracy in percent, area by another cost."""

    kind: str
    """front, trial, reference or control."""
    title: str
    cost: float
    accuracy: float
    size: float


LOOKS = {
    "trial": (DISTILLED, "o", 0.45),
    "front": (FINAL, "o", 0.85),
    "reference": (TEACHER, "s", 0.85),
    "control": (CONTROL, "D", 0.85),
}


def bubbles(
    points: Sequence[Bubble], limit: float | None, untrained: Mapping[str, float], words: str
) -> Markup:
    """Accuracy over a logarithmic cost; the front as steps, the limit dashed.

    ``untrained`` are costs of models whose accuracy is not known: marks below the axis. ``words``
    name the axis.
    """
    with house_style(f"search-{words}"):
        figure, axes, marks = _frame(len(untrained))
        axes.set_xscale("log")
        _bounds(axes, points, limit, list(untrained.values()))
        biggest = max(point.size for point in points)
        for kind, (color, marker, alpha) in LOOKS.items():
            for point in (p for p in points if p.kind == kind):
                area = _area(point, biggest)
                axes.scatter(
                    [point.cost],
                    [point.accuracy],
                    s=area,
                    c=color,
                    marker=marker,
                    alpha=alpha,
                    edgecolors=PAPER,
                    linewidths=1.0,
                    zorder=3,
                )
        _steps(axes, [point for point in points if point.kind == "front"])
        if limit:
            for part in (axes, marks) if marks else (axes,):
                part.axvline(limit, color=LIMIT, linewidth=1.5, linestyle=(0, (4, 3)), zorder=1)
        axes.set_ylabel("validation accuracy, %")
        axes.grid(color=GRID)
        axes.tick_params(which="both", length=0, labelcolor=MUTED)
        _known(axes, marks, untrained, words)
        figure.draw_without_rendering()
        _labels(axes, points, limit)
        return svg(figure, f"Validation accuracy over {words}, one bubble a model")


def curves(trials: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Best validation accuracy by epoch; state (front, complete or pruned) and values in percent.

    Trials that were ended early stop where they were ended.
    """
    looks = {"pruned": (MUTED, 0.45), "complete": (DISTILLED, 0.7), "front": (FINAL, 1.0)}
    with house_style("search-curves"):
        figure, axes = new_axes(3.6)
        for state, (color, alpha) in looks.items():
            for _, values in (trial for trial in trials if trial[0] == state):
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, color=color, alpha=alpha, linewidth=1.6)
                axes.plot([len(values)], values[-1:], "o", color=color, alpha=alpha, markersize=4)
        axes.set_xlabel("epoch")
        axes.set_ylabel("best so far, %")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(axis="y", color=GRID)
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.spines["left"].set_visible(False)
        handles = [Line2D([], [], color=color, linewidth=2) for color, _ in looks.values()]
        names = ["ended early", "complete", "on the front"]
        figure.legend(handles, names, loc="outside upper left", ncols=3, borderaxespad=0.2)
        return svg(figure, "Best validation accuracy of every trial by epoch")


def shares(values: Sequence[tuple[str, float]], name: str) -> Markup:
    """Importances as bars, in percent."""
    with house_style(f"importance-{name}"):
        figure, axes = new_axes(0.6 + ROW * (len(values) + 0.3))
        for y, (_, value) in enumerate(values):
            axes.barh(y, 100 * value, height=0.66, color=FINAL)
            axes.text(100 * value + 1, y, f"{100 * value:.0f} %", va="center")
        axes.set_yticks(range(len(values)), [clipped(label, 22) for label, _ in values])
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_xlim(0, max(20.0, 118 * max(value for _, value in values)))
        axes.set_xlabel(f"share in {name}, %")
        axes.grid(axis="x", color=GRID)
        axes.tick_params(length=0)
        axes.tick_params(axis="x", labelcolor=MUTED)
        axes.spines["bottom"].set_visible(False)
        return svg(figure, f"Importance of each field for {name}")


def _frame(known: int) -> tuple[Figure, Axes, Axes | None]:
    """Axes, and below them a strip for models whose accuracy is not known."""
    if not known:
        figure, axes = new_axes(4.1)
        return figure, axes, None
    strip = 0.24 * known + 0.1
    figure = Figure(figsize=(6.6, 4.0 + strip), layout="constrained")
    axes, marks = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3.5, strip]})
    return figure, axes, marks


def _known(axes: Axes, marks: Axes | None, costs: Mapping[str, float], words: str) -> None:
    """A row for each model that was only counted."""
    bottom = axes if marks is None else marks
    if marks is not None:
        for y, cost in enumerate(costs.values()):
            marks.plot([cost], [y], "|", color=MUTED, markersize=9, markeredgewidth=2)
        marks.set_yticks(range(len(costs)), [clipped(name, 24) for name in costs], fontsize=10.5)
        marks.set_ylim(len(costs) - 0.4, -0.6)
        marks.grid(color=GRID)
        marks.tick_params(which="both", length=0, labelcolor=MUTED)
        marks.spines["left"].set_visible(False)
        axes.tick_params(labelbottom=False)
    bottom.set_xlabel(f"{words}, logarithmic")
    log_ticks(bottom)


def _bounds(
    axes: Axes, points: Sequence[Bubble], limit: float | None, others: Sequence[float]
) -> None:
    costs = [point.cost for point in points] + list(others) + ([limit] if limit else [])
    margin = (max(costs) / min(costs)) ** 0.06 * 1.15
    axes.set_xlim(min(costs) / margin, max(costs) * margin)
    low = min(point.accuracy for point in points)
    high = max(point.accuracy for point in points)
    above = max(2.0, 0.12 * (high - low))
    axes.set_ylim(max(-2.0, low - above), min(104.0, high + 1.3 * above))


def _steps(axes: Axes, best: Sequence[Bubble]) -> None:
    """What the front reaches at each cost: it rises where a dearer model is better."""
    ordered = sorted(best, key=lambda point: (point.cost, -point.accuracy))
    path: list[Bubble] = []
    for point in ordered:
        if not path or point.accuracy > path[-1].accuracy:
            path.append(point)
    if path:
        end = axes.get_xlim()[1]
        costs = [point.cost for point in path] + [end]
        reached = [point.accuracy for point in path] + [path[-1].accuracy]
        axes.step(costs, reached, where="post", color=FINAL, linewidth=1.4, alpha=0.6, zorder=2)


def _labels(axes: Axes, points: Sequence[Bubble], limit: float | None) -> None:
    """Names where they touch least: known models and the best of the front."""
    named = [p for p in points if p.kind in ("reference", "control")]
    best = sorted((p for p in points if p.kind == "front"), key=lambda p: -p.accuracy)
    taken = [_mark(axes, point) for point in points]
    biggest = max(point.size for point in points)
    if limit:
        taken.append(_limit_label(axes, limit))
    for point in best[:LABELS] + named:
        at = (point.cost, point.accuracy)
        gap = max(GAP, _area(point, biggest) ** 0.5 / 2 + 4)
        taken.append(place_label(axes, point.title, at, taken, gap))


def _limit_label(axes: Axes, limit: float) -> Bbox:
    text = axes.annotate(
        f"limit {rounded(limit)}",
        (limit, 0.99),
        xycoords=("data", "axes fraction"),
        xytext=(-5, 0),
        textcoords="offset pixels",
        color=LIMIT,
        fontsize=11,
        ha="right",
        va="top",
    )
    return text.get_window_extent()


def _area(point: Bubble, biggest: float) -> float:
    """Of the bubble, in points squared."""
    return max(SMALLEST, LARGEST * point.size / biggest)


def _mark(axes: Axes, point: Bubble) -> Bbox:
    x, y = axes.transData.transform((point.cost, point.accuracy))
    return Bbox.from_extents(x - 8, y - 8, x + 8, y + 8)
