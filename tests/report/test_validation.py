from __future__ import annotations

import math
from typing import Any

import pytest

from aum_edge.errors import AumEdgeError
from aum_edge.report.validation import checked
from tests.report.sample import minimal, sample


def test_full_and_minimal_reports_pass() -> None:
    assert checked(sample())["title"] == sample()["title"]
    assert checked(minimal())["limits"]["macs"] is None


@pytest.mark.parametrize("version", [None, 0, 2, "1", True])
def test_other_schema_versions_are_refused(version: Any) -> None:
    report = minimal()
    report["schema_version"] = version
    with pytest.raises(AumEdgeError, match=r"`schema_version` is .* reads 1"):
        checked(report)


def test_every_missing_key_is_named_with_its_place() -> None:
    report = sample()
    del report["limits"]
    del report["models"][1]["eval"]["accuracy"]
    with pytest.raises(AumEdgeError) as caught:
        checked(report)
    assert "`limits` is missing" in str(caught.value)
    assert "`models[1].eval.accuracy` is missing" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_long_list_of_problems_is_cut() -> None:
    with pytest.raises(AumEdgeError, match="and 4 more"):
        checked({"schema_version": 1, "models": [{"key": "a"}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["models"][0].update(n_params="many"), r"`models\[0\].n_params` is str"),
        (lambda r: r["corpus"].update(labels="a, b"), r"`corpus.labels` is str, not a list"),
        (lambda r: r["verdict"].update(within=1), r"`verdict.within` is int, not true or false"),
        (lambda r: r["models"][0].update(eval=[]), r"`models\[0\].eval` is list, not an object"),
        (lambda r: r["models"][0]["eval"].update(accuracy=None), "accuracy` is NoneType"),
        (lambda r: r["models"][0]["eval"].update(accuracy=math.nan), "accuracy` is NoneType"),
        (lambda r: r["verdict"].update(model="student"), "`verdict.model` is `student`"),
        (lambda r: r.update(models=[]), "`models` is empty"),
        (lambda r: r["models"].append(r["models"][0]), "has `student_int8` twice"),
    ],
)
def test_wrong_values_are_named(change: Any, message: str) -> None:
    report = minimal()
    change(report)
    with pytest.raises(AumEdgeError, match=message):
        checked(report)


def test_numbers_that_are_not_finite_become_null_where_that_is_allowed() -> None:
    report = minimal()
    report["models"][0]["eval"]["log_loss"] = math.inf
    assert checked(report)["models"][0]["eval"]["log_loss"] is None


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(AumEdgeError, match="got list"):
        checked([])


def test_official_figures_may_be_absent_and_optional_parts_null() -> None:
    report = sample()
    report["models"][0]["complexity"]["official"].update(macs=None, param_bytes=None)
    report["models"][0]["complexity"]["within_limits"]["official"] = None
    report.update(bench=None, export=None, stages=None, environment=None)
    assert checked(report)["bench"] is None
