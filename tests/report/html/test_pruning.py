"""The pruning section: rounds in a table, curves by kind, nothing where there is nothing."""

from __future__ import annotations

from typing import Any

from aum_edge.report.html.page import page
from aum_edge.report.html.pruning import pruning_section
from aum_edge.report.schema import checked
from aum_edge.report.view import ReportView
from tests.report.sample import sample


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
    text = str(pruning_section(ReportView(pruned())))
    for words in ("43,210", "98,765", "51.2", "78.9", "82.3", "<svg", "stem channels"):
        assert words in text, words
    assert "stem channels 3.12 at 75 % of MACs saved" in text
    assert "delta rank 0.38 at 10 % of MACs saved" in text


def test_the_page_has_the_section_and_a_link_to_it() -> None:
    text = page(pruned())
    assert '<section id="pruning">' in text
    assert 'href="#pruning"' in text


def test_without_pruning_there_is_no_section() -> None:
    assert pruning_section(ReportView(checked(sample()))) is None
    assert pruning_section(ReportView(report())) is None
    only = report(sensitivity=[row("none", 0, 4e6, 0.25)])
    assert pruning_section(ReportView(only)) is None
