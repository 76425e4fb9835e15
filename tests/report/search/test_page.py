"""The page of a search: its sections, its commands, and nothing where nothing was found."""

from __future__ import annotations

import re

import pytest

from aum_edge.report.search.page import search_page
from tests.report.search.sample import search_sample


@pytest.fixture(scope="module")
def text() -> str:
    return search_page(search_sample())


def test_sections_stand_in_order_and_are_linked(text: str) -> None:
    names = re.findall(r'<section id="([a-z]+)"', text)
    assert names == ["found", "front", "fields", "trials", "how"]
    assert re.findall(r'<a href="#([a-z]+)">', text) == names[1:]


def test_numbers_commands_and_pictures_are_there(text: str) -> None:
    for words in (
        "reaches 61.0 % on validation clips with 2.00 M MACs and 50.0 kB in int8",
        "aum-edge run full.yaml \\\n  --set name=trial-5 \\\n  --set d_model=40",
        "over exact_macs by 50.0 %",
        "What decided accuracy",
        "20 min 34 s",
    ):
        assert words in text, words
    assert text.count("<svg") == 4


def test_odd_texts_are_escaped_and_the_space_keeps_its_lines(text: str) -> None:
    assert "<script" not in text
    assert "trial 9: &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\n&lt;script&gt;alert(1)&lt;/script&gt;:     a &amp; b</pre>" in text


def test_a_search_that_found_nothing_has_two_sections() -> None:
    nothing = {"front": [], "trials": [], "failures": [], "by_value": [], "importance": {}}
    text = search_page({**search_sample(), **nothing})
    assert re.findall(r'<section id="([a-z]+)"', text) == ["found", "how"]
    assert "No trial was trained to its end yet." in text
