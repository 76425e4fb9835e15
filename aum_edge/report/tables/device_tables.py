"""Tables of the general model and of one model for each device: accuracy and cost by device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aum_edge.complexity.verdict import COUNTS, UNITS, WORDS, State
from aum_edge.report.numbers import percent, whole
from aum_edge.report.tables.model_tables import HEADS, shown_figures
from aum_edge.report.tables.table import Cell, Column, Table
from aum_edge.report.view import ReportView

Row = Mapping[str, Any]


def families(view: ReportView) -> list[dict[str, Any]]:
    """The student and, if it was tuned, the control; nothing where no device has its own model."""
    return list((view.report.get("device_models") or {}).get("families") or [])


def device_models_tables(view: ReportView) -> list[Table]:
    """The section's tables, for Markdown."""
    return [
        table
        for family in families(view)
        for table in (score_table(family), cost_table(view, family))
    ]


def verdict_line(view: ReportView) -> str:
    """Whether every device's model is inside the limits by itself."""
    found: dict[State, list[str]] = {"over": [], "unknown": [], "inside": []}
    for family in families(view):
        for row in family["devices"]:
            state = view.verdict(row["complexity"]).state
            found[state].append(f"{family['title']} for device {row['device']}")
    name = view.report["limits"]["name"]
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


def cost_table(view: ReportView, family: Row) -> Table:
    """MACs and bytes of every device's model by both counts, against the limits."""
    shown, limits = shown_figures(view), view.report["limits"]
    columns = [
        Column("Device", number=False),
        *(Column(HEADS[what], count) for what in shown for count in COUNTS),
        Column("Verdict", number=False),
    ]
    rows: list[Sequence[Cell]] = []
    for row in family["devices"]:
        counted = row["complexity"]
        cells = [whole(counted[count].get(what)) for what in shown for count in COUNTS]
        rows.append([row["device"], *cells, WORDS[view.verdict(counted).state]])
    parts = [f"{whole(limits.get(w))} {UNITS[w]}" for w in shown if limits.get(w)]
    caption = f"{family['title']}: each model against {' and '.join(parts) or 'no limits'}"
    return Table(caption, columns, rows)


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
