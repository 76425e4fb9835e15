"""What a point of the space costs, and whether it is known to meet the limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from aum_edge.complexity.limits import Limits, presets
from aum_edge.errors import RecipeError
from aum_edge.report.search.tables import preset_table
from aum_edge.search.space.candidate import Cost, cost_of, fresh, student_config
from tests.search.small_search import recipe

LABELS = ("a", "b", "c")


def cost(folder: Path, limits: Limits, **changes) -> Cost:
    made = recipe(folder, folder, **changes)
    config = student_config(made.student.model, len(LABELS), made)
    return cost_of(fresh(config, made, LABELS), made, limits)


@pytest.mark.parametrize("name", list(presets()))
def test_a_tiny_student_meets_every_preset(name: str, tmp_path: Path) -> None:
    found = cost(tmp_path, presets()[name])
    assert (found.over, found.unknown) == ({}, ())
    assert found.fits


def test_every_limit_that_is_not_met_is_named(tmp_path: Path) -> None:
    found = cost(tmp_path, Limits(name="x", macs=1, param_bytes=1, params=1, rule="nessi"))
    assert list(found.over) == [
        f"{count}_{what}" for count in ("exact", "official") for what in ("macs", "bytes", "params")
    ]
    assert found.over["exact_macs"] == found.macs - 1
    assert found.why_not.startswith("over exact_macs by ")
    assert list(cost(tmp_path, Limits(name="x", params=1), constraints={"exact": False}).over) == [
        "official_params"
    ]


def test_a_limit_that_a_count_does_not_give_is_not_met(tmp_path: Path) -> None:
    odd = Limits(name="x", macs=30e6, rule="nonzero")
    found = cost(tmp_path, odd)
    assert (found.over, found.unknown, found.fits) == ({}, ("official_macs",), False)
    assert found.why_not == "official_macs not known"
    assert found.to_dict()["unknown"] == ["official_macs"]
    assert cost(tmp_path, odd, constraints={"official": False}).fits


def test_the_table_of_presets_has_the_words_of_the_verdict() -> None:
    row = {"macs": 1, "official_macs": None, "bytes": 1, "n_params": 1}
    report = {
        "limits": {"name": "x"},
        "presets": {
            "a": {**row, "over": {}},
            "b": {**row, "over": {"exact_macs": 0.0004}},
            "c": {**row, "over": {}, "unknown": ["official_macs"]},
        },
    }
    words = [cells[-1] for cells in preset_table(report).rows]
    assert words == ["inside", "over exact_macs by 0.04 %", "official_macs not known"]


def test_unknown_limits_are_refused_with_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There are no limits `dcase1999`"):
        recipe(tmp_path, tmp_path, limits="dcase1999")
