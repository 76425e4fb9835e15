"""The report of a search: nothing found, odd names, what mattered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aum_edge.errors import AumEdgeError
from aum_edge.report.search.build import write_search_report
from aum_edge.search.context import SearchContext
from aum_edge.search.importance import by_value, importances
from aum_edge.search.records import Record, write_record
from aum_edge.search.space.dimensions import read_space
from aum_edge.search.summary import summarise
from tests.search.small_search import recipe

ODD = "<script>alert(1)</script>"
DIMENSIONS = read_space(
    {
        "d_model": {"low": 8, "high": 24, "step": 8},
        "pooling": {"choices": ["mean", "max"]},
        "train.lr": {"low": 1e-3, "high": 1e-1, "log": True},
    }
)


def record(number: int, d_model: int, pooling: str, lr: float, accuracy: float) -> Record:
    params = {"d_model": d_model, "pooling": pooling, "train.lr": lr}
    values = {"accuracy": accuracy, "macs": 10.0 * d_model, "bytes": 5.0 * d_model}
    return Record(number=number, state="complete", key="k", params=params, objectives=values)


def many(count: int) -> list[Record]:
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        d_model = int(rng.choice([8, 16, 24]))
        lr = float(10 ** rng.uniform(-3, -1))
        pooling = str(rng.choice(["mean", "max"]))
        accuracy = 0.3 + 0.02 * d_model + 0.001 * float(rng.standard_normal())
        made.append(record(number, d_model, pooling, lr, accuracy))
    return made


def test_the_field_that_decides_is_found() -> None:
    found = importances(many(60), DIMENSIONS, "accuracy")
    assert next(iter(found)) == "d_model"
    assert found["d_model"] > 0.7
    assert sum(found.values()) == pytest.approx(1)


def test_costs_are_no_matter_of_training() -> None:
    assert set(importances(many(60), DIMENSIONS, "macs")) == {"d_model", "pooling"}


def test_few_trials_give_no_shares() -> None:
    assert importances(many(9), DIMENSIONS, "accuracy") == {}


def test_means_by_value_keep_the_order_of_the_space() -> None:
    records = [record(0, 8, "max", 2e-3, 0.4), record(1, 24, "mean", 5e-2, 0.8)]
    records.append(record(2, 24, "max", 5e-2, 0.6))
    rows = by_value(records, DIMENSIONS)
    assert [(r["field"], r["value"]) for r in rows] == [
        ("d_model", "8"),
        ("d_model", "24"),
        ("pooling", "mean"),
        ("pooling", "max"),
        ("train.lr", "0.001 to 0.00464"),
        ("train.lr", "0.0215 to 0.1"),
    ]
    assert rows[1]["mean"] == pytest.approx(0.7)
    assert rows[1]["best"] == 0.8


def test_a_search_without_a_finished_trial_has_a_report(tmp_path, corpus) -> None:
    made = recipe(tmp_path, corpus.root, title=ODD)
    room = SearchContext(made, tmp_path / "out", corpus.cache)
    failed = Record(number=0, state="failed", key=room.key, params={}, reason=ODD)
    over = {"over": {"exact_macs": 0.5}, "macs": 9}
    rejected = Record(number=1, state="rejected", key=room.key, params={}, cost=over)
    for found in (failed, rejected):
        write_record(room.out, found)
    report = summarise(room, [failed, rejected], "nowhere")
    page = write_search_report(report, tmp_path / "report").read_text()
    assert "No trial was trained to its end yet" in page
    assert ODD not in page
    assert "&lt;script&gt;" in page
    assert "exact\\_macs" in (tmp_path / "report" / "report.md").read_text()


def test_a_report_of_something_else_is_refused(tmp_path: Path) -> None:
    for report in ({"kind": "run", "schema_version": 1}, {"kind": "search", "schema_version": 9}):
        with pytest.raises(AumEdgeError, match="no report of a search"):
            write_search_report(report, tmp_path)
