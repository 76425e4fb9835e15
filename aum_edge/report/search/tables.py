"""Tables of a search, for the page and for Markdown alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aum_edge.complexity.verdict import WORDS, excess
from aum_edge.report.numbers import UNKNOWN, duration, percent, short, size, times, whole
from aum_edge.report.tables.table import Cell, Column, Table

Report = Mapping[str, Any]
STATES = {
    "complete": "trained to the end",
    "pruned": "ended early",
    "failed": "failed",
    "rejected": "rejected before training",
    "repeat": "repeats of earlier draws",
}


def front_table(report: Report) -> Table:
    """Members of the front: accuracy, both counts, latency where it was timed."""
    timed = any(row.get("latency") for row in report["front"])
    columns = [
        Column("Trial", number=False),
        Column("Accuracy", "int8, validation, %"),
        Column("float", "%"),
        Column("MACs", "exact"),
        Column("official"),
        Column("Bytes", "int8"),
        Column("Weights"),
        *([Column("Latency", "of CP-Mobile's")] if timed else []),
        Column("Fields", number=False),
    ]
    return Table(
        "Nothing found is better in one objective and no worse in the others",
        columns,
        [_front_row(row, timed) for row in report["front"]],
    )


def known_table(report: Report) -> Table | None:
    """Trained references under the same protocol; None if the recipe has none."""
    if not report["references"]:
        return None
    columns = [
        Column("Model", number=False),
        Column("Accuracy", "int8, validation, %"),
        Column("float", "%"),
        Column("MACs", "exact"),
        Column("Bytes", "int8"),
        Column("Changed", number=False),
    ]
    rows: list[list[Cell]] = [
        [
            name,
            percent(values["objectives"].get("accuracy")),
            percent(_float_accuracy(values)),
            short(values["cost"]["macs"]),
            size(values["cost"]["bytes"]),
            _fields(values["params"]) or UNKNOWN,
        ]
        for name, values in report["references"].items()
    ]
    return Table("Known models, trained and scored as the trials were", columns, rows)


def preset_table(report: Report) -> Table:
    """What presets cost at this front end, trained or not."""
    limits = report["limits"]
    columns = [
        Column("Preset", number=False),
        Column("MACs", "exact"),
        Column("official"),
        Column("Bytes", "int8"),
        Column("Weights"),
        Column("Verdict", number=False),
    ]
    rows: list[list[Cell]] = [
        [
            name,
            short(cost["macs"]),
            short(cost["official_macs"]),
            size(cost["bytes"]),
            whole(cost["n_params"]),
            _verdict(cost),
        ]
        for name, cost in report["presets"].items()
    ]
    return Table(f"Presets at this front end against {limits['name']}", columns, rows)


def _verdict(cost: Mapping[str, Any]) -> str:
    """Inside, or every limit that is not met or not known to be."""
    parts = [f"{WORDS['over']} {what} by {excess(share)}" for what, share in cost["over"].items()]
    parts += [f"{what} {WORDS['unknown']}" for what in cost.get("unknown", [])]
    return ", ".join(parts) or WORDS["inside"]


def counts_table(report: Report) -> Table:
    """How trials ended."""
    rows: list[list[Cell]] = [
        [STATES[name], whole(number)] for name, number in report["counts"].items()
    ]
    broken = report["rejections"]
    rows += [[("– of these over", name), whole(number)] for name, number in broken.items()]
    return Table("Trials by how they ended", [Column("End", number=False), Column("Trials")], rows)


def importance_table(report: Report) -> Table | None:
    """Share of each field by objective; None where there were too few trials."""
    found = {name: values for name, values in report["importance"].items() if values}
    if not found:
        return None
    fields = list(dict.fromkeys(field for values in found.values() for field in values))
    columns = [Column("Field", number=False), *(Column(name, "share, %") for name in found)]
    rows: list[list[Cell]] = [
        [field, *(percent(values.get(field)) for values in found.values())] for field in fields
    ]
    return Table("Share of each field in reaching the best quarter (PED-ANOVA)", columns, rows)


def value_table(report: Report) -> Table | None:
    """Accuracy by choice, or by third of a range."""
    rows: list[list[Cell]] = [
        [
            row["field"],
            str(row["value"]),
            whole(row["trials"]),
            percent(row["mean"]),
            percent(row["best"]),
        ]
        for row in report["by_value"]
    ]
    if not rows:
        return None
    columns = [
        Column("Field", number=False),
        Column("Value", number=False),
        Column("Trials"),
        Column("Mean", "accuracy, %"),
        Column("Best", "accuracy, %"),
    ]
    return Table("Accuracy of complete trials by value", columns, rows)


def trials_table(report: Report) -> Table:
    """Every trial that was trained."""
    columns = [
        Column("Trial", number=False),
        Column("Accuracy", "%"),
        Column("MACs"),
        Column("Bytes"),
        Column("Epochs"),
        Column("Time"),
        Column("Fields", number=False),
    ]
    rows: list[list[Cell]] = [
        [
            (f"{row['number']}", "on the front" if row["front"] else _ended(row)),
            percent(row["accuracy"] if row["state"] == "complete" else _last(row)),
            short(row["macs"]),
            size(row["bytes"]),
            whole(len(row["curve"])),
            duration(row["seconds"]),
            _fields(row["params"]),
        ]
        for row in report["trials"]
    ]
    return Table("Trained trials; of those ended early the best accuracy so far", columns, rows)


def commands(report: Report) -> str:
    """Shell commands that train the members of the front fully, one setting a line."""
    return "\n\n".join(
        f"# trial {row['number']}: {percent(row['accuracy'])} %\n"
        + row["command"].replace(" --set ", " \\\n  --set ")
        for row in report["front"]
    )


def _front_row(row: Mapping[str, Any], timed: bool) -> list[Cell]:
    latency = row.get("latency") or {}
    return [
        str(row["number"]),
        percent(row["accuracy"]),
        percent(row["accuracy_float"]),
        short(row["macs"]),
        short(row["official_macs"]),
        size(row["bytes"]),
        whole(row["n_params"]),
        *([times(latency.get("ratio"))] if timed else []),
        _fields(row["params"]),
    ]


def _ended(row: Mapping[str, Any]) -> str:
    return "ended early" if row["state"] == "pruned" else ""


def _last(row: Mapping[str, Any]) -> float | None:
    return row["curve"][-1] if row["curve"] else None


def _float_accuracy(values: Mapping[str, Any]) -> float | None:
    found = values.get("val_float", {})
    return found.get("macro_accuracy", found.get("map"))


def _fields(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in params.items())


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value)
