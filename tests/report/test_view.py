from __future__ import annotations

import pytest

from aum_edge.report.validation import checked
from aum_edge.report.view import ReportView, confusion, confusions, layer_macs
from tests.report.sample import LABELS, SEEN, UNSEEN, minimal, sample


@pytest.fixture
def facts() -> ReportView:
    return ReportView(checked(sample()))


def test_bench_rows_find_their_models_through_the_exported_files(facts: ReportView) -> None:
    row = facts.latency("student_pruned")
    assert row is not None
    assert row["model"] == "student"
    assert facts.title("student") == "Student, pruned"
    assert facts.title("student_int8_static") == "Student, int8, static"
    assert facts.latency("teacher") is None


def test_ratio_is_taken_from_the_control_when_the_report_has_none() -> None:
    report = sample()
    del report["bench"]["ratios"]
    facts = ReportView(checked(report))
    assert facts.ratio(facts.latency("student_int8")) == pytest.approx(1.523 / 1.214)
    assert facts.ratio(None) is None


def test_without_a_control_there_is_no_ratio() -> None:
    report = sample()
    report["bench"].update(ratios={}, rows=report["bench"]["rows"][1:])
    facts = ReportView(checked(report))
    assert facts.ratio(facts.latency("student_int8")) is None


def test_devices_are_told_apart_only_when_the_training_ones_are_known() -> None:
    report = sample()
    assert ReportView(checked(report)).devices == (SEEN, UNSEEN)
    del report["corpus"]["train_devices"]
    assert ReportView(checked(report)).devices == (SEEN + UNSEEN, [])
    report["corpus"]["test_devices"] = []
    assert ReportView(checked(report)).devices == (sorted(SEEN + UNSEEN), [])


def test_the_sentence_tells_both_counts_and_their_ratio(facts: ReportView) -> None:
    assert "520 k MACs" in facts.official_sentence
    assert "2.38 M MACs, 4.58 times as many" in facts.official_sentence
    assert facts.official_sentence.count(". ") == 0


@pytest.mark.parametrize(
    ("official", "words"),
    [(1_000, "the two agree"), (None, "no figure"), (2_000, "2.00 times fewer"), (100, "as many")],
)
def test_the_sentence_fits_other_relations(official: int | None, words: str) -> None:
    report = minimal()
    report["models"][0]["complexity"]["official"]["macs"] = official
    assert words in ReportView(checked(report)).official_sentence


def test_the_most_frequent_mistakes_come_first() -> None:
    report = minimal()
    report["models"][0]["eval"]["confusion"] = [[3, 1], [4, 2]]
    model = checked(report)["models"][0]
    assert confusions(model, ["no", "yes"]) == [
        ("yes", "no", 4, pytest.approx(4 / 6)),
        ("no", "yes", 1, 0.25),
    ]


def test_a_matrix_that_does_not_fit_the_labels_is_left_out(facts: ReportView) -> None:
    assert confusion(facts.final, len(LABELS)) != []
    assert confusion(facts.final, len(LABELS) + 1) == []


def test_layers_keep_their_sum_when_they_are_added_up(facts: ReportView) -> None:
    model = facts.final
    every = sum(row["macs"] for row in model["complexity"]["layers"])
    for most in (30, 8, 2):
        rows = layer_macs(model, most)
        assert sum(value for _, value in rows) == pytest.approx(every)
    assert len(layer_macs(model, 8)) <= 8
    assert layer_macs(model)[0][0] == "stem.0"
