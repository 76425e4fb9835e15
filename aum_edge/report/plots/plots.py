"""Bars and curves: accuracy by class and device, latency, where the work goes, training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from aum_edge.report.numbers import milliseconds, rounded, short, times
from aum_edge.report.plots.figure import (
    FINAL,
    GRID,
    INK,
    LIMIT,
    MUTED,
    PAPER,
    house_style,
    log_ticks,
    new_axes,
    role,
    svg,
)
from aum_edge.report.schema import LatencyRow, Model
from aum_edge.report.text import clean, clipped
from aum_edge.report.view import Grouping, scores_by

ROW = 0.33
"""Inches of a bar and its gap."""


@dataclass(frozen=True)
class Group:
    """Bars under one heading; an empty heading takes no room."""

    heading: str
    names: Sequence[str]


def accuracies(
    field: Grouping, groups: Sequence[Group], models: Sequence[Model], description: str
) -> Markup:
    """Accuracy by class or device (``field`` of eval): bars of the first model, marks of others."""
    slots = _slots(groups)
    with house_style(field):
        figure, axes = new_axes(0.75 + ROW * (len(slots) + 0.5))
        final, *others = models
        values = scores_by(final, field)
        for y, (name, heading) in enumerate(slots):
            if heading:
                axes.text(0, y + 0.1, heading, color=MUTED, va="center", fontweight="bold")
            elif (value := values.get(name)) is not None:
                _percent_bar(axes, y, 100 * value, role(final["key"])[0])
        for index, model in enumerate(others):
            scores = scores_by(model, field)
            _marks(axes, role(model["key"], index), [scores.get(name) for name, _ in slots])
        axes.set_yticks(
            [y for y, (_, heading) in enumerate(slots) if not heading],
            [clipped(name, 22) for name, heading in slots if not heading],
        )
        axes.set_ylim(len(slots) - 0.4, -0.6)
        axes.set_xlim(0, 106)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("accuracy, %")
        _quiet(axes, "x")
        _model_legend(figure, models)
        return svg(figure, description)


def latencies(rows: Sequence[tuple[str, str, LatencyRow, float | None]], what: str) -> Markup:
    """Median latency bars with the way to the 99th percentile; the control's ratio beside each.

    ``rows`` are title, model key, the measured row and its ratio to the control.
    """
    with house_style("latency"):
        figure, axes = new_axes(0.75 + 1.5 * ROW * len(rows))
        most = max(row.get("p99_ms") or row["p50_ms"] for _, _, row, _ in rows)
        for y, (_, key, row, ratio) in enumerate(rows):
            end = max(row["p50_ms"], row.get("p99_ms") or 0)
            axes.barh(y, row["p50_ms"], height=0.56, color=role(key)[0])
            axes.plot([row["p50_ms"], end], [y, y], color=MUTED, linewidth=1.4)
            if (p90 := row.get("p90_ms")) is not None:
                axes.plot([p90], [y], "|", color=MUTED, markersize=9, mew=1.6)
            if end > row["p50_ms"]:
                axes.plot([end], [y], "|", color=MUTED, markersize=13, mew=1.6)
            label = f"{milliseconds(row['p50_ms'])} ms" + (f"  ({times(ratio)})" if ratio else "")
            axes.text(end + 0.02 * most, y, label, va="center")
        axes.set_yticks(range(len(rows)), [clipped(title, 22) for title, *_ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1.45 * most)
        axes.set_xlabel("ms a clip; ticks: 90th, 99th percentile")
        _quiet(axes, "x")
        return svg(figure, what)


def shares(values: Sequence[tuple[str, float]], name: str, unit: str, what: str) -> Markup:
    """Horizontal bars of ``values`` in the given order, each with its number and its share."""
    total = sum(value for _, value in values)
    most = max(value for _, value in values)
    with house_style(name):
        figure, axes = new_axes(0.6 + ROW * (len(values) + 0.3))
        for y, (_, value) in enumerate(values):
            axes.barh(y, value, height=0.66, color=FINAL)
            label = f"{short(value)}  ({100 * value / total:.0f} %)"
            axes.text(value + 0.015 * most, y, label, va="center")
        axes.set_yticks(range(len(values)), [clipped(label, 26) for label, _ in values])
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_xlim(0, 1.42 * most)
        axes.set_xlabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rounded(value)))
        _quiet(axes, "x")
        return svg(figure, what)


def counters(models: Sequence[Model], limit: float | None, what: str) -> Markup:
    """Official (hollow) and exact (filled) MACs of every model on one logarithmic line each."""
    with house_style("counters"):
        figure, axes = new_axes(1.05 + 1.5 * ROW * len(models))
        for y, model in enumerate(models):
            counted = model["complexity"]
            official, exact = counted["official"]["macs"], counted["exact"]["macs"]
            if not official or exact <= 0:
                continue
            ends = [official, exact]
            color, marker = role(model["key"], y)
            axes.plot(ends, [y, y], color=color, linewidth=2, alpha=0.45)
            axes.plot(
                ends[:1], [y], marker, markerfacecolor=PAPER, color=color, markersize=9, mew=2
            )
            axes.plot(ends[1:], [y], marker, color=color, markersize=9)
        if limit:
            axes.axvline(limit, color=LIMIT, linewidth=1.5, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(models)), [clipped(model["title"], 22) for model in models])
        axes.set_ylim(len(models) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.margins(x=0.08)
        log_ticks(axes)
        axes.set_xlabel(
            "MACs a clip" + (f"; dashed: the limit of {rounded(limit)}" if limit else "")
        )
        _quiet(axes, "x")
        handles = [
            Line2D([], [], marker="o", linestyle="", color=INK, mfc=fill, markersize=8, mew=2)
            for fill in (PAPER, INK)
        ]
        _legend(figure, handles, ["official count", "exact count"])
        return svg(figure, what)


def curves(models: Sequence[Model], fields: Mapping[str, str], axis: str, what: str) -> Markup:
    """Training curves by epoch: one colour a model; ``fields`` gives each value's line style."""
    with house_style("-".join(fields)):
        figure, axes = new_axes(3.6)
        for index, model in enumerate(models):
            color, marker = role(model["key"], index)
            for field, line in fields.items():
                points = history(model, field)
                every = max(1, len(points) // 8)
                axes.plot(
                    [x for x, _ in points],
                    [100 * y if axis.endswith("%") else y for _, y in points],
                    line,
                    color=color,
                    marker=marker if line == "-" else None,
                    markevery=every,
                    markersize=5,
                    linewidth=1.8,
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel(axis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _quiet(axes, "y")
        _model_legend(figure, models, lines=True)
        return svg(figure, what)


def history(model: Model, field: str) -> list[tuple[float, float]]:
    """Epoch and value wherever the training wrote both down."""
    rows: list[dict[str, Any]] = model.get("history", [])
    found = [(row.get("epoch", index), row.get(field)) for index, row in enumerate(rows)]
    return [
        (float(epoch), float(value))
        for epoch, value in found
        if isinstance(epoch, int | float) and isinstance(value, int | float)
    ]


def _slots(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Lines of the chart from above: (name, "") for a bar, ("", heading) for a heading."""
    slots: list[tuple[str, str]] = []
    for group in groups:
        if group.names:
            slots += [("", group.heading)] if group.heading else []
            slots += [(name, "") for name in group.names]
    return slots


def _percent_bar(axes: Axes, y: int, value: float, color: str) -> None:
    axes.barh(y, value, height=0.68, color=color)
    inside = value > 12
    axes.text(
        1.5 if inside else value + 1.5,
        y,
        f"{value:.1f}",
        va="center",
        color=PAPER if inside else INK,
        fontsize=11,
    )


def _marks(axes: Axes, look: tuple[str, str], values: Sequence[float | None]) -> None:
    known = [(y, 100 * value) for y, value in enumerate(values) if value is not None]
    color, marker = look
    axes.plot(
        [value for _, value in known],
        [y for y, _ in known],
        marker,
        color=color,
        markersize=8.5,
        markeredgecolor=PAPER,
        markeredgewidth=1.2,
        zorder=3,
    )


def _model_legend(figure: Figure, models: Sequence[Model], lines: bool = False) -> None:
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
    _legend(figure, handles, [clean(model["title"]) for model in models])


def _legend(figure: Figure, handles: Sequence[Artist], titles: Sequence[str]) -> None:
    figure.legend(
        handles,
        [clipped(title, 24) for title in titles],
        loc="outside upper left",
        ncols=2 if len(titles) == 4 else 3,
        handletextpad=0.3,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _quiet(axes: Axes, along: str) -> None:
    """Thin grid lines along one axis only, no ticks, no frame but the base line."""
    axes.grid(axis="x" if along == "x" else "y", color=GRID)
    axes.tick_params(length=0)
    axes.spines["bottom" if along == "x" else "left"].set_visible(False)
    axes.tick_params(axis="x", labelcolor=MUTED)
