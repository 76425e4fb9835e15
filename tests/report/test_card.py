from __future__ import annotations

import pytest
import yaml

from aum_edge.errors import AumEdgeError
from aum_edge.report.card import model_card
from tests.report.sample import minimal, sample


def test_card_has_its_parts_in_order() -> None:
    text = model_card(sample(), "student_int8")
    heads = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert heads == [
        "Intended use",
        "Data",
        "How it was made",
        "Scores",
        "Budget",
        "Limits",
    ]
    front = yaml.safe_load(text.split("---")[1])
    assert front["pipeline_tag"] == "audio-classification"
    (result,) = front["model-index"][0]["results"]
    accuracy = next(m["eval"]["accuracy"] for m in sample()["models"] if m["key"] == "student_int8")
    assert result["metrics"] == [{"type": "accuracy", "value": round(accuracy, 6)}]


def test_card_is_honest_about_limits() -> None:
    report = sample()
    report["models"][4]["eval"]["accuracy"] = 0.7
    text = model_card(report, "student_int8")
    assert "On devices that were not in training it reaches 51." in text
    assert "It does worst on street\\_pedestrian (36." in text
    assert "The control, CNN control, does as well or better here (11.3 points)." in text
    assert "licence of its own" in text


def test_few_test_clips_are_said_to_be_few() -> None:
    assert "only 4 clips" in model_card(minimal(), "student_int8")
    assert "only" not in model_card(sample(), "student_int8").split("## Limits")[1]


def test_synthetic_data_is_called_so() -> None:
    report = sample()
    report["corpus"]["name"] = "synthetic-9f8b"
    assert "generated scenes, not recordings" in model_card(report, "control")


def test_lineage_is_numbered_and_escaped() -> None:
    report = sample()
    report["models"][3]["lineage"] = [{"step": "<b>", "note": "[x](http://y)"}]
    text = model_card(report, "student_int8")
    assert r"1. &lt;b&gt;: note \[x\](http://y)" in text


def test_card_of_the_control_does_not_compare_it_with_itself() -> None:
    text = model_card(sample(), "control")
    assert "The control reaches" not in text
    assert "the control (" not in text


def test_an_unknown_model_is_named_with_those_that_exist() -> None:
    with pytest.raises(AumEdgeError, match="no model `student`; it has `teacher`"):
        model_card(sample(), "student")
