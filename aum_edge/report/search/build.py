"""report.json, report.md and report.html of a search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aum_edge.errors import AumEdgeError
from aum_edge.report.build import write_texts
from aum_edge.report.search.page import headline, notes, search_page
from aum_edge.report.search.tables import (
    commands,
    counts_table,
    front_table,
    importance_table,
    known_table,
    preset_table,
    trials_table,
    value_table,
)
from aum_edge.report.tables.table import Table, markdown_table, markdown_text

SCHEMA = 1


def write_search_report(report: Mapping[str, Any], out_dir: Path) -> Path:
    """Write the three files into ``out_dir``; returns the HTML file.

    Raises:
        AumEdgeError: If the report is no search's or of another schema, or the folder cannot be
            written.
    """
    if report.get("kind") != "search" or report.get("schema_version") != SCHEMA:
        raise AumEdgeError(
            f"This is no report of a search in schema {SCHEMA}: got kind {report.get('kind')!r} "
            f"in schema {report.get('schema_version')!r}."
        )
    texts = {
        "report.json": json.dumps(report, indent=1, allow_nan=False) + "\n",
        "report.md": search_markdown(report),
        "report.html": search_page(report),
    }
    return write_texts(texts, out_dir)


def search_markdown(report: Mapping[str, Any]) -> str:
    """report.md: the same tables, no pictures."""
    parts = [f"# {markdown_text(report['title'])}", f"**{markdown_text(headline(report))}**"]
    parts += [markdown_text(line) for line in notes(report)]
    titled: list[tuple[str, Table | None]] = [
        ("Pareto front", front_table(report) if report["front"] else None),
        ("Known models", known_table(report)),
        ("Presets", preset_table(report)),
        ("What mattered", importance_table(report)),
        ("Accuracy by value", value_table(report)),
        ("How trials ended", counts_table(report)),
        ("Trials", trials_table(report) if report["trials"] else None),
    ]
    for title, table in titled:
        if table:
            parts += [f"## {title}", markdown_text(table.caption), markdown_table(table)]
        if title == "Pareto front" and table:
            parts += ["Train one of them fully:", f"```bash\n{commands(report)}\n```"]
    return "\n\n".join(parts) + "\n"
