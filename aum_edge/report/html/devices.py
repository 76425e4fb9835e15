"""The general model against one model for each device: accuracy and cost, device by device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aum_edge.complexity.verdict import COUNTS, UNITS, WORDS, State
from aum_edge.report.html.markup import Markup, section, tag
from aum_edge.report.numbers import percent, whole
from aum_edge.report.plots.figure import (
    FINAL,
    GRID,
    MUTED,
    PAPER,
    house_style,
    new_axes,
    picture,
    svg,
)
from aum_edge.report.tables.model_tables import HEADS, shown_figures
from aum_edge.report.tables.table import Cell, Column, Table, html_table
from aum_edge.report.view import ReportView

Row = Mapping[str, Any]
HEIGHT = 0.42
"""Inches of a device on the picture."""


def device_models_section(facts: ReportView) -> Markup | None:
    """Tables and a picture for the student and, if it was tuned, the control; None without any."""
    families = _families(facts)
    if not families:
        return None
    parts: list[Markup] = [tag("p", verdict_line(facts), class_="sub")]
    for family in families:
        tables = [html_table(score_table(family)), html_table(cost_table(facts, family))]
        drawing = picture(_drawing(family), f"{family['title']}: general and device-specific")
        parts.append(tag("div", drawing, tag("div", *tables, class_="stack"), class_="pair"))
    parts.append(
        tag(
            "p",
            "Devices that were not in training are unknown to the challenge's system: the general "
            "model serves them, so both figures are the same.",
            class_="note",
        )
    )
    return section("devicemodels", "One model for each device", *parts)


def device_models_tables(facts: ReportView) -> list[Table]:
    """The section's tables, for Markdown."""
    return [
        table
        for family in _families(facts)
        for table in (score_table(family), cost_table(facts, family))
    ]


def verdict_line(facts: ReportView) -> str:
    """Whether every device's model is inside the limits by itself."""
    found: dict[State, list[str]] = {"over": [], "unknown": [], "inside": []}
    for family in _families(facts):
        for row in family["devices"]:
            state = facts.verdict(row["complexity"]).state
            found[state].append(f"{family['title']} for device {row['device']}")
    name = facts.report["limits"]["name"]
    if found["over"]:
        models = ", ".join(found["over"])
        return f"Over the {name} limits, which hold for each model by itself: {models}."
    if found["unknown"]:
        models = ", ".join(found["unknown"])
        return f"Not known to be inside the {name} limits, which hold for each model: {models}."
    return f"Every device's model is inside the {name} limits, which hold for each by itself."


def score_table(family: Row) -> Table:
    """Accuracy and log loss of both stages by device, by group and overall."""
    columns = [
        Column("Device", number=False),
        Column("Clips", "test"),
        Column("General", "accuracy, %"),
        Column("Specific", "accuracy, %"),
        Column("Gain", "points"),
        Column("Macro", "specific, %"),
        Column("Log loss", "specific"),
    ]
    rows: list[Sequence[Cell]] = [
        _scores((row["device"], _remark(row)), row["general"], row["specific"])
        for row in family["devices"]
    ]
    rows += [_scores(row["group"], row["general"], row["specific"]) for row in family["groups"]]
    overall = family["overall"]
    rows.append(_scores("all clips", overall["general"], overall["specific"]))
    return Table(f"{family['title']}: general and device-specific model", columns, rows)


def cost_table(facts: ReportView, family: Row) -> Table:
    """MACs and bytes of every device's model by both counts, against the limits."""
    shown, limits = shown_figures(facts), facts.report["limits"]
    columns = [
        Column("Device", number=False),
        *(Column(HEADS[what], count) for what in shown for count in COUNTS),
        Column("Verdict", number=False),
    ]
    rows: list[Sequence[Cell]] = []
    for row in family["devices"]:
        counted = row["complexity"]
        cells = [whole(counted[count].get(what)) for what in shown for count in COUNTS]
        rows.append([row["device"], *cells, WORDS[facts.verdict(counted).state]])
    parts = [f"{whole(limits.get(w))} {UNITS[w]}" for w in shown if limits.get(w)]
    caption = f"{family['title']}: each model against {' and '.join(parts) or 'no limits'}"
    return Table(caption, columns, rows)


def _families(facts: ReportView) -> list[dict[str, Any]]:
    return list((facts.report.get("device_models") or {}).get("families") or [])


def _remark(row: Row) -> str:
    if not row["train_clips"]:
        return "not trained on"
    words = "kept the general model" if row["kept"] == "general" else "fine-tuned"
    return f"{words}, {whole(row['train_clips'])} clips"


def _scores(name: Cell, general: Row, specific: Row) -> Sequence[Cell]:
    gain = 100 * (specific["accuracy"] - general["accuracy"])
    return [
        name,
        whole(general["n"]),
        percent(general["accuracy"]),
        percent(specific["accuracy"]),
        f"{gain:+.1f}".replace("-", "−"),
        percent(specific["macro_accuracy"]),
        f"{specific['log_loss']:.3f}",
    ]


def _drawing(family: Row) -> Markup:
    """A bar for each device's own model and a mark for the general one."""
    rows = family["devices"]
    words = "; ".join(
        f"{row['device']} {100 * row['general']['accuracy']:.1f} to "
        f"{100 * row['specific']['accuracy']:.1f} %"
        for row in rows
    )
    with house_style(f"device-models-{family['key']}"):
        figure, axes = new_axes(0.9 + HEIGHT * len(rows))
        values = [100 * row["specific"]["accuracy"] for row in rows]
        bars = axes.barh(range(len(rows)), values, height=0.62, color=FINAL)
        marks = axes.plot(
            [100 * row["general"]["accuracy"] for row in rows],
            range(len(rows)),
            "D",
            color=MUTED,
            markersize=8,
            markeredgecolor=PAPER,
            linestyle="none",
        )
        for place, row in enumerate(rows):
            end = 100 * max(row["general"]["accuracy"], row["specific"]["accuracy"])
            axes.text(end + 3, place, f"{values[place]:.1f}", va="center")
        axes.set_yticks(range(len(rows)), [f"{row['device']}  ({row['group']})" for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 112)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="x", color=GRID)
        axes.tick_params(length=0)
        handles = [bars[0], marks[0]]
        titles = ["device's own model", "general model"]
        figure.legend(handles, titles, loc="outside upper left", ncols=2)
        return svg(figure, f"{family['title']}, accuracy general to device-specific: {words}")
