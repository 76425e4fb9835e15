"""One table, and its form in Markdown; the page's form is a macro of html/templates."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from aum_edge.report.text import clean

Cell = str | tuple[str, str]
"""A value, or a value and a remark in small type."""


@dataclass(frozen=True)
class Column:
    """One column; numbers stand to the right. ``hint`` is the unit or a remark below the head."""

    head: str
    hint: str = ""
    number: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of which names the row. ``colours`` are names by row (palette).

    Raises:
        ValueError: If a row has not one cell a column, or there is not one colour a row.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    colours: Sequence[str] = ()

    def __post_init__(self) -> None:
        cells = {len(row) for row in self.rows} - {len(self.columns)}
        if cells or (self.colours and len(self.colours) != len(self.rows)):
            raise ValueError(
                f"Table {self.caption!r} has {len(self.columns)} columns and {len(self.rows)} "
                f"rows: got rows of {sorted(cells)} cells, {len(self.colours)} colours."
            )


def markdown_table(table: Table) -> str:
    """As a Markdown table; remarks stand in brackets."""
    heads = [markdown_text(f"{c.head} ({c.hint})" if c.hint else c.head) for c in table.columns]
    marks = ["---:" if column.number else "---" for column in table.columns]
    marks[0] = "---"
    lines = [heads, marks, *([_plain(cell) for cell in row] for row in table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_text(value: object) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no broken table."""
    text = html.escape(clean(value), quote=False)
    for mark in "\\`*_[]|#":
        text = text.replace(mark, f"\\{mark}")
    return text


def _plain(cell: Cell) -> str:
    if isinstance(cell, str):
        return markdown_text(cell)
    return markdown_text(f"{cell[0]} ({cell[1]})" if cell[1] else cell[0])
