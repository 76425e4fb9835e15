"""Pruning rounds and curves, the rounding sweep and its choice; nothing where there is nothing."""

from __future__ import annotations

import re
from typing import Any

from aum_edge.report.html.page import page
from aum_edge.report.html.render import Section, render_body
from aum_edge.report.html.training import pruning_section, quantization_section
from aum_edge.report.validation import checked
from aum_edge.report.view import ReportView
from tests.report.sample import sample


def shown(section: Section | None) -> str:
    assert section is not None
    return render_body(section)


def row(dimension: str, share: float, macs: float, loss: float) -> dict[str, Any]:
    return {"dimension": dimension, "share": share, "macs": macs, "loss": loss, "accuracy": 0.9}


def report(**pruning: Any) -> Any:
    return checked({**sample(), "pruning": pruning})


def pruned() -> Any:
    rounds = [
        {
            "round": 1, "macs": 2_000_000, "int8_bytes": 43_210,
            "val_accuracy_cut": 0.512, "val_accuracy": 0.789,
        }
    ]  # fmt: skip
    curves = [row("none", 0, 4e6, 0.25), row("stem", 0.1, 3e6, 0.5), row("stem", 0.9, 1e6, 3.125)]
    curves += [row("dt_rank", 0.1, 3.9e6, 0.25), row("dt_rank", 0.9, 3.6e6, 0.375)]
    unpruned = {"macs": 4_000_000, "int8_bytes": 98_765, "val_accuracy": 0.823}
    return report(unpruned=unpruned, rounds=rounds, sensitivity=curves)


def test_rounds_and_curves_are_shown() -> None:
    text = shown(pruning_section(ReportView(pruned())))
    for words in ("43,210", "98,765", "51.2", "78.9", "82.3", "<svg", "stem channels"):
        assert words in text, words
    assert "stem channels 3.12 at 75 % of MACs saved" in text
    assert "delta rank 0.38 at 10 % of MACs saved" in text


def test_the_axis_of_losses_below_one_is_labelled_truly() -> None:
    text = shown(pruning_section(ReportView(pruned())))
    labels = [float(label) for label in re.findall(r">([\d.]+)</text>", text)]
    assert {0.5, 1, 2} <= set(labels)


def test_the_page_has_pruning_and_a_link_to_it() -> None:
    text = page(pruned())
    assert '<section id="pruning">' in text
    assert 'href="#pruning"' in text


def test_without_pruning_there_is_no_section() -> None:
    assert pruning_section(ReportView(checked(sample()))) is None
    assert pruning_section(ReportView(report())) is None
    only = report(sensitivity=[row("none", 0, 4e6, 0.25)])
    assert pruning_section(ReportView(only)) is None


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
    text = shown(quantization_section(ReportView(swept())))
    for words in ("0.00037", "1.9e-05", "98.1", "99.6", "59,030", "<svg"):
        assert words in text, words
    assert "Weights in 16 bit: stem.convs.0.0." in text
    assert "Inputs in float: stem.fold." in text
    order = [text.index(name) for name in ("input of stem.fold", "weight of stem.convs", "of head")]
    assert order == sorted(order), "the most harmful first"


def test_a_choice_that_keeps_nothing_says_so() -> None:
    assert "No tensor was worth more bits." in shown(
        quantization_section(ReportView(swept(kept=[])))
    )


def test_the_page_has_quantization_and_a_link_to_it() -> None:
    text = page(swept())
    assert '<section id="quantization">' in text
    assert 'href="#quantization"' in text


def test_without_a_sweep_there_is_no_section() -> None:
    assert quantization_section(ReportView(checked(sample()))) is None
    assert quantization_section(ReportView(checked({**sample(), "quantization": None}))) is None
