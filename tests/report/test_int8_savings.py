"""What int8 saves and what it costs: one line a file, on the page and in the text."""

from __future__ import annotations

from typing import Any

import pytest

from aum_edge.report.html.page import page
from aum_edge.report.int8_savings import int8_lines
from aum_edge.report.markdown import markdown
from aum_edge.report.validation import checked
from aum_edge.report.view import ReportView
from tests.report.sample import minimal, sample


def timed(**p50: float) -> dict[str, Any]:
    """The sample with other medians, quartiles a tenth apart."""
    report = sample()
    for row in report["bench"]["rows"]:
        row["p50_ms"] = p50.get(row["model"], row["p50_ms"])
        row["spread"] = 0.1
    return report


def test_both_int8_files_are_told() -> None:
    lines = int8_lines(ReportView(checked(sample())))
    assert len(lines) == 2
    assert lines[0].startswith("Student, int8: saves 162,428 of 251,330 bytes (64.6 %); ")
    assert "does not pay in latency: 1.15 ×" in lines[1]


@pytest.mark.parametrize(
    ("p50", "words"),
    [
        (1.5, "does not pay in latency: 1.50 × the float file's median time in the same run"),
        (1.05, "no clear difference in latency: 1.05 ×"),
        (0.8, "pays in latency too: 0.80"),
    ],
)
def test_the_spread_decides(p50: float, words: str) -> None:
    report = checked(timed(student=1.0, student_int8=p50))
    line = int8_lines(ReportView(report))[0]
    assert words in line
    assert "quartiles 10.0 % of the median apart" in line


def test_page_and_text_show_it() -> None:
    report = checked(timed(student=1.0, student_int8_static=2.0))
    for text in (page(report), markdown(report)):
        assert "does not pay in latency: 2.00 ×" in text


def test_what_was_not_measured_is_said() -> None:
    report = sample()
    report["bench"]["rows"] = [r for r in report["bench"]["rows"] if r["model"] != "student_int8"]
    report["export"][0].pop("bytes")
    lines = int8_lines(ReportView(checked(report)))
    assert "its size beside student.onnx is not known" in lines[0]
    assert "its latency beside the float file was not measured" in lines[0]


def test_nothing_without_an_int8_file() -> None:
    assert int8_lines(ReportView(checked(minimal()))) == []
