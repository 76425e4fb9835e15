"""Tables of what pruning did round by round, and of what rounding the tensors costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aum_edge.report.numbers import nats, percent, short, whole
from aum_edge.report.tables.table import Cell, Column, Table
from aum_edge.report.view import ReportView

Row = Mapping[str, Any]


def rounds_table(view: ReportView) -> Table | None:
    """What each round cut and got back; None where the run did not prune in rounds."""
    found = view.report.get("pruning") or {}
    rounds, unpruned = found.get("rounds") or [], found.get("unpruned") or {}
    if not rounds:
        return None
    columns = [
        Column("Round", number=False),
        Column("MACs"),
        Column("int8", "bytes"),
        Column("After the cut", "validation"),
        Column("Recovered", "validation"),
    ]
    rows: list[Sequence[Cell]] = []
    if unpruned:
        rows.append(["before", *_cells(unpruned), "", percent(unpruned.get("val_accuracy"))])
    for row in rounds:
        scores = [percent(row.get(key)) for key in ("val_accuracy_cut", "val_accuracy")]
        rows.append([str(row["round"]), *_cells(row), *scores])
    return Table("Cut and recovery", columns, rows)


def choice_table(view: ReportView) -> Table | None:
    """Everything rounded against the choice; None where the run did not measure tensors."""
    found: Row = view.report.get("quantization") or {}
    if not found.get("tensors"):
        return None
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
        cells: list[Cell] = [title, nats(reading.get("loss") or 0.0)]
        rows.append([*cells, percent(reading.get("agreement")), whole(size) if size else ""])
    return Table("Distance to the float model", columns, rows)


def kept_lines(view: ReportView) -> list[str]:
    """Which tensors stay in higher precision; nothing where the run did not measure them."""
    found = view.report.get("quantization") or {}
    if not found.get("tensors"):
        return []
    lines = []
    for words, which in (("Weights in 16 bit", "weight"), ("Inputs in float", "input")):
        if names := [name for kind, name in kept_tensors(found) if kind == which]:
            lines.append(f"{words}: {', '.join(names)}.")
    return lines or ["No tensor was worth more bits."]


def kept_tensors(found: Row) -> list[tuple[str, str]]:
    """Kind and layer of every tensor that stays in higher precision."""
    return [(row["kind"], row["layer"]) for row in found.get("kept") or []]


def _cells(row: Row) -> list[Cell]:
    return [short(row["macs"]), whole(row["int8_bytes"])]
