"""report.json, report.md and report.html from one report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aum_edge.core.files import write_together
from aum_edge.errors import AumEdgeError
from aum_edge.report.html.page import page
from aum_edge.report.markdown import markdown
from aum_edge.report.validation import checked


def write_report(report: dict[str, Any], out_dir: Path) -> Path:
    """Write report.json, report.md and report.html into ``out_dir``; returns the HTML file.

    All three are made before the first is put in place, so that a kill or a full disk leaves the
    old files or the new ones, never half of one. Cost: about two seconds.

    Raises:
        AumEdgeError: If the report is of another schema or not complete, or the folder cannot be
            written.
    """
    good = checked(report)
    try:
        text = json.dumps(good, indent=1, allow_nan=False) + "\n"
    except TypeError as error:
        raise AumEdgeError(
            f"The report holds a value that JSON has no form for: {error}."
        ) from error
    texts = {"report.json": text, "report.md": markdown(good), "report.html": page(good)}
    return write_texts(texts, Path(out_dir))


def write_texts(texts: dict[str, str], out_dir: Path) -> Path:
    """Write a report's files into a folder, all or none; returns its HTML file.

    Raises:
        AumEdgeError: If the folder cannot be written.
    """
    try:
        write_together({out_dir / name: text for name, text in texts.items()})
    except OSError as error:
        raise AumEdgeError(
            f"Cannot write the report into {out_dir}: {error.strerror or error}. "
            "Give a folder that can be written to and has some MB free."
        ) from error
    return out_dir / "report.html"
