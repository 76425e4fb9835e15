"""One table and its two forms: HTML and Markdown."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from aum_edge.report.html.markup import Markup, clean, tag

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
    """Rows of cells, the first of which names the row. ``colours`` are CSS values by row."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    colours: Sequence[str] = ()


def html_table(table: Table) -> Markup:
    """As HTML; it scrolls sideways where it is wider than the page, its first column in view."""
    heads = [_head(column) for column in table.columns]
    colours = table.colours or [""] * len(table.rows)
    rows = [_row(table, row, colour) for row, colour in zip(table.rows, colours, strict=True)]
    inner = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows))
    # The caption stands outside, or it would be as wide as the table and scroll out of view.
    return tag(
        "div",
        tag("p", table.caption, class_="caption"),
        tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=table.caption),
        class_="table",
    )


def stacked(*tables: Table | None) -> Markup | None:
    """Tables below each other, in one column of the page."""
    known = [html_table(table) for table in tables if table]
    return tag("div", *known, class_="stack") if known else None


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


def _head(column: Column) -> Markup:
    hint = [tag("small", column.hint)] if column.hint else []
    return tag("th", column.head, *hint, scope="col", class_="number" if column.number else "text")


def _row(table: Table, row: Sequence[Cell], colour: str) -> Markup:
    first, *others = row
    key = [tag("i", class_="key", style=colour)] if colour else []
    cells = [
        tag("td", *_parts(cell), class_="number" if column.number else "text")
        for column, cell in zip(table.columns[1:], others, strict=True)
    ]
    return tag("tr", tag("th", *key, *_parts(first), scope="row"), *cells)


def _parts(cell: Cell) -> list[object]:
    if isinstance(cell, str):
        return [cell]
    return [cell[0], tag("small", cell[1])] if cell[1] else [cell[0]]


def _plain(cell: Cell) -> str:
    if isinstance(cell, str):
        return markdown_text(cell)
    return markdown_text(f"{cell[0]} ({cell[1]})" if cell[1] else cell[0])
