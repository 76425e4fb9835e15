"""The verdict of a run, as report.json states it."""

from __future__ import annotations

from typing import Any

import pytest

from aum_edge.complexity.limits import presets
from aum_edge.complexity.report import analyse
from aum_edge.pipeline.stages.report import report_verdict
from tests.small_run import student

LIMITS = presets()["dcase2025"]


def final(exact: int | None = 2_000_000, official: int | None = 600_000) -> dict[str, Any]:
    """The final model of a report, with these MACs."""
    counts = {
        "exact": {"macs": exact, "param_bytes": 63_480, "n_params": 57_226},
        "official": {"macs": official, "param_bytes": 63_480, "n_params": 57_226},
    }
    return {"title": "Student, int8", "complexity": counts}


@pytest.mark.parametrize(
    ("model", "within", "words"),
    [
        (final(), True, ["is inside", "is inside"]),
        (final(exact=31_000_000), False, ["is over", "is inside"]),
        (final(official=31_000_000), False, ["is inside", "is over"]),
        (final(official=None), None, ["is inside", "is not known"]),
        (final(31_000_000, None), False, ["is over", "is not known"]),
    ],
)
def test_the_verdict_of_a_run(model: dict[str, Any], within: bool | None, words: list[str]) -> None:
    found = report_verdict(LIMITS, model)
    assert found["within"] is within
    assert found["model"] == "student_int8"
    every = {"is inside", "is over", "is not known"}
    for line, word, count in zip(found["lines"], words, ("exact", "official"), strict=True):
        assert [other for other in every if other in line] == [word]
        assert f"by the {count} count" in line


@pytest.mark.parametrize("name", list(presets()))
def test_the_verdict_of_a_model_under_every_preset(name: str) -> None:
    limits = presets()[name]
    counted = analyse(student(), limits).to_dict()
    found = report_verdict(limits, {"title": "S", "complexity": counted})
    assert found["within"] is True
    assert len(found["lines"]) == (0 if name == "none" else 2)
