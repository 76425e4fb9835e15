"""The tables of stored bytes and of the front end, on the page and in Markdown."""

from __future__ import annotations

from aum_edge.report.html.page import page
from aum_edge.report.markdown import markdown
from aum_edge.report.validation import checked
from tests.report.sample import minimal, sample

WORDS = ("scales and zero points", "working memory of one frame", "with dense mel filters")


def test_both_tables_are_in_both_forms() -> None:
    report = checked(sample())
    for text in (markdown(report), str(page(report))):
        assert all(word in text for word in WORDS)


def test_reports_without_these_figures_have_no_such_tables() -> None:
    report = checked(minimal())
    for text in (markdown(report), str(page(report))):
        assert not any(word in text for word in WORDS)
