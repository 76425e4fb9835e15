"""The verdict's tiles: what a model is held against."""

from __future__ import annotations

import pytest

from aum_edge.report.html.verdict import verdict_section
from aum_edge.report.validation import checked
from aum_edge.report.view import ReportView
from tests.report.sample import sample


@pytest.mark.parametrize(
    ("accuracy", "ending"), [(0.1, "to control (at chance)"), (0.5, "control")]
)
def test_a_control_that_only_guesses_is_named_so(accuracy: float, ending: str) -> None:
    report = sample()
    report["models"][-1]["eval"]["accuracy"] = accuracy
    section = verdict_section(ReportView(checked(report)))
    name, _, remark = section.values["tiles"][0]
    assert name == "Test accuracy"
    assert remark.endswith(ending)
