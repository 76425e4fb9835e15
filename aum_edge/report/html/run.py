"""Sections on the run itself: exported files, corpus, recipe, stage times, versions."""

from __future__ import annotations

import json
from pathlib import PureWindowsPath

import yaml

from aum_edge.report.html.render import Facts, Section, as_facts
from aum_edge.report.numbers import whole
from aum_edge.report.tables.file_tables import export_table, stage_table
from aum_edge.report.view import ReportView


def export_section(view: ReportView) -> Section | None:
    """The exported files, and why one is not there."""
    if not view.report.get("export"):
        return None
    values = {"files": export_table(view), "notes": view.report.get("export_notes") or []}
    return Section("report/onnx", "onnx", "Exported files", values)


def run_section(view: ReportView) -> Section:
    """Corpus, recipe, stage times, versions."""
    report = view.report
    recipe = report["recipe"]
    path = recipe.get("path")
    values = {
        "about": _about(view),
        "recipe": _yaml(recipe.get("resolved")),
        # Only the file's name: a page that is sent to others should not tell its author's folders.
        "recipe_file": PureWindowsPath(path).name if path else "",
        "stages": stage_table(view),
        "versions": as_facts(report.get("environment") or {}),
    }
    return Section("report/run", "run", "What was run", values)


def _about(view: ReportView) -> Facts:
    corpus = view.report["corpus"]
    return [
        ("Corpus", corpus["name"]),
        ("Classes", len(corpus["labels"])),
        ("Training clips", whole(corpus["n_train"])),
        ("Validation clips", whole(corpus["n_val"])),
        ("Test clips", whole(corpus["n_test"])),
        ("Recipe", view.report["recipe"]["name"]),
    ]


def _yaml(resolved: object) -> str:
    if not resolved:
        return ""
    return yaml.safe_dump(json.loads(json.dumps(resolved, default=str)), sort_keys=False)
