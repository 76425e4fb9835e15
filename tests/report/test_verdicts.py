"""Every page of a report names the limits that its year sets, whichever they are."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from aum_edge.complexity.limits import Limits, get_limits, presets
from aum_edge.pipeline.stages.report import report_verdict
from aum_edge.report.card import model_card
from aum_edge.report.html.page import page
from aum_edge.report.markdown import markdown
from aum_edge.report.validation import checked
from tests.report.html.test_page import Reader
from tests.report.sample import sample

UNITS = {"macs": "MACs", "param_bytes": "bytes", "n_params": "parameters"}
CUSTOM = {
    "nothing": "",
    "macs": "macs: 9e6",
    "bytes": "param_bytes: 70000",
    "params": "params: 60000.5",
    "all": "macs: 2e6\nparam_bytes: 64000\nparams: 58000\nrule: nessi",
}


def limits_of(name: str, tmp_path: Path) -> Limits:
    if name not in CUSTOM:
        return get_limits(name)
    (tmp_path / f"{name}.yaml").write_text(CUSTOM[name] or "note: nothing is limited")
    return get_limits(tmp_path / f"{name}.yaml")


def report_under(limits: Limits) -> dict[str, Any]:
    """The sample report as the last stage of a run makes it under these limits."""
    report = sample()
    report["limits"] = asdict(limits) | limits.figures
    if limits.rule == "nonzero":
        for model in report["models"]:
            model["complexity"]["official"].update(macs=None, n_params=None)
    report["verdict"] = report_verdict(limits, report["models"][3])
    return report


def words_of(report: dict[str, Any]) -> dict[str, str]:
    """The text of each page."""
    reader = Reader()
    reader.feed(page(checked(report)))
    card = model_card(report, "student_int8").replace("\\", "")
    text = markdown(checked(report)).replace("\\", "")
    return {"html": reader.words, "markdown": text, "card": card}


@pytest.mark.parametrize("name", [*presets(), *CUSTOM])
def test_every_page_names_the_limits_that_are_set(name: str, tmp_path: Path) -> None:
    limits = limits_of(name, tmp_path)
    report = report_under(limits)
    lines = " ".join(report["verdict"]["lines"])
    pages = words_of(report)
    set_ = {what: limit for what, limit in limits.figures.items() if limit is not None}
    for what, limit in set_.items():
        shown = f"{limit:,.0f}" if limit == int(limit) else f"{limit:,}"
        assert f"{shown} {UNITS[what]}" in lines
        for medium in ("html", "markdown"):
            assert f"{shown} {UNITS[what]}" in pages[medium]
        assert f"| {shown} |" in pages["card"]
    if not set_:
        assert "Student, int8: no limits were set" in pages["html"]
        assert "Student, int8: no limits were set" in pages["markdown"]
    else:
        assert all(f" the {limits.name} limits" in pages[m] for m in ("html", "markdown"))


@pytest.mark.parametrize("medium", ["html", "markdown", "card"])
def test_what_is_not_known_is_called_so_on_every_page(medium: str) -> None:
    report = sample()
    report["models"][3]["complexity"]["official"].update(macs=None)
    text = words_of(report)[medium]
    assert "not known" in text
    if medium != "card":
        assert "Student, int8 is not known to be inside the dcase2025 limits" in text
    assert "Student, int8 is inside the dcase2025 limits by the official" not in text
    assert "Student, int8 is over the dcase2025" not in text


@pytest.mark.parametrize("medium", ["html", "markdown", "card"])
def test_a_small_excess_is_seen_on_every_page(medium: str) -> None:
    report = sample()
    report["models"][3]["complexity"]["exact"]["macs"] = 30_000_001
    text = words_of(report)[medium]
    assert "✗ over" in text
    assert "30,000,001" in text
    if medium == "html":
        assert "30.000001 M of 30 M, 100.000003 %" in text
