"""What rounding each tensor costs, and what stayed in higher precision for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from aum_edge.report.html.markup import Markup, section, tag
from aum_edge.report.numbers import percent, whole
from aum_edge.report.plots.figure import (
    FINAL,
    GRID,
    LIMIT,
    PAPER,
    house_style,
    log_ticks,
    new_axes,
    picture,
    svg,
)
from aum_edge.report.tables.table import Cell, Column, Table, html_table
from aum_edge.report.view import ReportView

SHOWN = 24
"""Tensors in the picture, the most harmful ones."""
LEAST = 1e-9
"""Nats; what is below is drawn there."""
LOOKS = {"weight": (FINAL, "o"), "input": (LIMIT, "D")}
Row = Mapping[str, Any]


def quantization_section(facts: ReportView) -> Markup | None:
    """A table of the choice beside the sweep; None where the run did not measure tensors."""
    found = facts.report.get("quantization") or {}
    rows = sorted(found.get("tensors") or [], key=_loss, reverse=True)
    if not rows:
        return None
    notes = [tag("p", line, class_="note") for line in kept_lines(facts)]
    parts = [tag("div", html_table(_choice(found)), *notes, class_="stack")]
    words = "Divergence from the float model when one tensor alone is rounded"
    parts.append(picture(_drawing(rows[:SHOWN], _kept(found)), words))
    return section("quantization", "Quantization", tag("div", *parts, class_="pair"))


def choice_table(facts: ReportView) -> Table | None:
    """Everything rounded against the choice; None where the run did not measure tensors."""
    found = facts.report.get("quantization") or {}
    return _choice(found) if found.get("tensors") else None


def kept_lines(facts: ReportView) -> list[str]:
    """Which tensors stay in higher precision; nothing where the run did not measure them."""
    found = facts.report.get("quantization") or {}
    if not found.get("tensors"):
        return []
    lines = []
    for words, which in (("Weights in 16 bit", "weight"), ("Inputs in float", "input")):
        if names := [name for kind, name in _kept(found) if kind == which]:
            lines.append(f"{words}: {', '.join(names)}.")
    return lines or ["No tensor was worth more bits."]


def _kept(found: Row) -> list[tuple[str, str]]:
    return [(row["kind"], row["layer"]) for row in found.get("kept") or []]


def _choice(found: Row) -> Table:
    columns = [
        Column("Rounded", number=False),
        Column("Divergence", "nats"),
        Column("Agreement", "% of answers"),
        Column("Stored", "bytes"),
    ]
    rows: list[Sequence[Cell]] = []
    for title, key, size in (
        ("everything", "start", None),
        ("as chosen", "end", found.get("param_bytes")),
    ):
        reading = found.get(key) or {}
        cells: list[Cell] = [title, _nats(reading.get("loss") or 0.0)]
        rows.append([*cells, percent(reading.get("agreement")), whole(size) if size else ""])
    return Table("Distance to the float model", columns, rows)


def _drawing(rows: Sequence[Row], kept: Sequence[tuple[str, str]]) -> Markup:
    """A mark a tensor by its loss: full ones are rounded, hollow ones stay precise."""
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
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _nats(value)))
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
        return svg(figure, _words(rows))


def _words(rows: Sequence[Row]) -> str:
    """The marks, for those who cannot see them."""
    told = ", ".join(f"{row['kind']} of {row['layer']} {_nats(_loss(row))}" for row in rows)
    return f"Divergence in nats with one tensor rounded: {told}"


def _loss(row: Row) -> float:
    return float(row["alone"]["loss"])


def _nats(value: float) -> str:
    """Two digits: 0.00037 or 2e-05."""
    return f"{value:.2g}"
