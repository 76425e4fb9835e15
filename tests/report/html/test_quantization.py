"""The quantization section: the sweep as a picture, the choice in words; nothing without one."""

from __future__ import annotations

from typing import Any

from aum_edge.report.html.page import page
from aum_edge.report.html.quantization import quantization_section
from aum_edge.report.schema import checked
from aum_edge.report.view import ReportView
from tests.report.sample import sample


def tensor(kind: str, layer: str, loss: float) -> dict[str, Any]:
    reading = {"loss": loss, "error": 0.01, "agreement": 0.99}
    return {"kind": kind, "layer": layer, "alone": reading, "without": reading, "extra_bytes": 8}


def swept(**changed: Any) -> Any:
    found = {
        "start": {"loss": 0.00037, "error": 0.02, "agreement": 0.981},
        "end": {"loss": 1.9e-5, "error": 0.01, "agreement": 0.996},
        "kept": [
            {"kind": "weight", "layer": "stem.convs.0.0"},
            {"kind": "input", "layer": "stem.fold"},
        ],
        "param_bytes": 59030,
        "tensors": [
            tensor("weight", "head", 2e-6),
            tensor("input", "stem.fold", 2.1e-4),
            tensor("weight", "stem.convs.0.0", 2.6e-5),
        ],
    }
    return checked({**sample(), "quantization": {**found, **changed}})


def test_the_sweep_and_the_choice_are_shown() -> None:
    text = str(quantization_section(ReportView(swept())))
    for words in ("0.00037", "1.9e-05", "98.1", "99.6", "59,030", "<svg"):
        assert words in text, words
    assert "Weights in 16 bit: stem.convs.0.0." in text
    assert "Inputs in float: stem.fold." in text
    order = [text.index(name) for name in ("input of stem.fold", "weight of stem.convs", "of head")]
    assert order == sorted(order), "the most harmful first"


def test_a_choice_that_keeps_nothing_says_so() -> None:
    assert "No tensor was worth more bits." in str(quantization_section(ReportView(swept(kept=[]))))


def test_the_page_has_the_section_and_a_link_to_it() -> None:
    text = page(swept())
    assert '<section id="quantization">' in text
    assert 'href="#quantization"' in text


def test_without_a_sweep_there_is_no_section() -> None:
    assert quantization_section(ReportView(checked(sample()))) is None
    assert quantization_section(ReportView(checked({**sample(), "quantization": None}))) is None
