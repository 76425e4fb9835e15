"""Texts of messages."""

from __future__ import annotations

from aum_edge.core.text import few, one_line


def test_an_exception_becomes_one_line() -> None:
    assert one_line(ValueError("a\n  b.")) == "a b"
    assert one_line("abcdef", 3) == "abc"
    assert one_line("") == ""


def test_the_first_names_are_shown_and_the_others_counted() -> None:
    assert few(["a", "b", "c"], 3) == "a, b, c"
    assert few(iter("abcdefg")) == "a, b, c, d, e and 2 more"
    assert few("abcd", 2) == "a, b and 2 more"
    assert few([]) == ""
