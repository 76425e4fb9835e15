"""Horizontal bars: accuracy by class and device, latency, MACs by part and by count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from aum_edge.report.numbers import milliseconds, rounded, short, times
from aum_edge.report.plots.figure import (
    FINAL,
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
from aum_edge.report.plots.legend import legend, model_legend, plain_frame
from aum_edge.report.schema import LatencyRow, Model
from aum_edge.report.text import clipped
from aum_edge.report.view import Grouping, scores_by

ROW = 0.33
"""Inches of a bar and its gap."""


@dataclass(frozen=True)
class Group:
    """Bars under one heading; an empty heading takes no line."""

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
        plain_frame(axes, "x")
        model_legend(figure, models)
        return svg(figure, description)


def latencies(rows: Sequence[tuple[str, str, LatencyRow, float | None]], what: str) -> Markup:
    """Median latency bars with the 99th percentile; the control's ratio beside each.

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
        plain_frame(axes, "x")
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
        plain_frame(axes, "x")
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
        plain_frame(axes, "x")
        handles = [
            Line2D([], [], marker="o", linestyle="", color=INK, mfc=fill, markersize=8, mew=2)
            for fill in (PAPER, INK)
        ]
        legend(figure, handles, ["official count", "exact count"])
        return svg(figure, what)


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
