"""The report's section on device models: tables, picture, verdict; none without them."""

from __future__ import annotations

import copy
from typing import Any

from aum_edge.report.html.accuracy import device_models_section
from aum_edge.report.html.page import page
from aum_edge.report.html.render import render_body
from aum_edge.report.markdown import markdown
from aum_edge.report.tables.device_tables import cost_table, score_table, verdict_line
from aum_edge.report.validation import checked
from aum_edge.report.view import ReportView
from tests.report.sample import sample


def with_devices() -> dict[str, Any]:
    """The sample report with a general and a device-specific student."""

    def scores(accuracy: float) -> dict[str, float]:
        return {"n": 60, "accuracy": accuracy, "macro_accuracy": accuracy, "log_loss": 1.2}

    def row(device: str, group: str, kept: str, clips: int) -> dict[str, Any]:
        cost = {"macs": 2_300_000, "param_bytes": 63_727}
        within = {"exact": True, "official": True}
        return {
            "device": device,
            "group": group,
            "kept": kept,
            "train_clips": clips,
            "general": scores(0.6),
            "specific": scores(0.65 if kept == "tuned" else 0.6),
            "complexity": {"exact": cost, "official": cost, "within_limits": within},
        }

    rows = [row("a", "real", "tuned", 1020), row("b", "real", "general", 8)]
    rows.append(row("s4", "unseen", "general", 0))
    both = {"general": scores(0.6), "specific": scores(0.65)}
    family = {
        "key": "student",
        "title": "Student",
        "overall": both,
        "groups": [{"group": "real", **both}],
        "devices": rows,
    }
    return {**sample(), "device_models": {"limits": "dcase2025", "families": [family]}}


def test_the_page_and_markdown_show_both_stages_by_device() -> None:
    report = checked(with_devices())
    html, text = page(report), markdown(report)
    assert '<section id="devicemodels">' in html
    assert "fine-tuned, 1,020 clips" in html
    assert "accuracy general to device-specific: a 60.0 to 65.0 %" in html
    assert "## One model for each device" in text
    assert "| a (fine-tuned, 1,020 clips) | 60 | 60.0 | 65.0 | +5.0 |" in text
    assert "| s4 (not trained on) |" in text


def test_a_device_over_the_limits_is_named() -> None:
    document = copy.deepcopy(with_devices())
    counted = document["device_models"]["families"][0]["devices"][1]["complexity"]
    counted["official"] = {**counted["official"], "param_bytes": 128_001}
    facts = ReportView(checked(document))
    section = device_models_section(facts)
    assert section is not None
    body = render_body(section)
    assert "Over the dcase2025 limits" in body
    assert "Student for device b" in body
    family = document["device_models"]["families"][0]
    assert [row[-1] for row in cost_table(facts, family).rows] == ["inside", "over", "inside"]
    assert len(score_table(family).rows) == 5


def test_a_device_without_a_known_figure_is_neither_inside_nor_over() -> None:
    document = copy.deepcopy(with_devices())
    counted = document["device_models"]["families"][0]["devices"][1]["complexity"]
    counted["official"] = {"macs": None, "param_bytes": None}
    facts = ReportView(checked(document))
    assert verdict_line(facts).startswith("Not known to be inside the dcase2025 limits")
    family = document["device_models"]["families"][0]
    words = [row[-1] for row in cost_table(facts, family).rows]
    assert words == ["inside", "not known", "inside"]


def test_without_device_models_there_is_no_section() -> None:
    report = checked({**sample(), "device_models": None})
    assert device_models_section(ReportView(report)) is None
    assert "One model for each device" not in page(checked(sample())) + markdown(report)
