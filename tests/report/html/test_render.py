"""Values enter a page as visible, escaped text; facts read as words."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from aum_edge.report.html.render import Section, as_facts, render_body, render_page
from aum_edge.report.tables.table import Column, Table

EVIL = "<script>alert(1)</script>"


def test_lists_of_words_are_words_and_unknowns_are_left_out() -> None:
    made = dict(
        as_facts({"cpu_flags": ["avx2", "fma"], "load_average": [0.5, 1], "openvino": None})
    )
    assert made == {"cpu flags": "avx2 fma", "load average": "[0.5, 1]"}
    assert as_facts({"cpu_flags": []}) == []


def test_every_text_of_a_page_is_escaped() -> None:
    section = Section("report/onnx", "onnx", EVIL, {"files": table(EVIL), "notes": [EVIL]}, EVIL)
    text = render_page(EVIL, EVIL, [section], EVIL)
    assert "<script" not in text
    # Title and heading, line, class, heading, caption and label, 3 heads, 3 cells, note, last line.
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 15


def test_control_characters_are_taken_out_and_blanks_are_one() -> None:
    values = {"files": table("a\x00\u202e\n  b"), "notes": []}
    body = render_body(Section("report/onnx", "x", "X", values))
    assert '<td class="number">a b</td>' in body
    assert 'aria-label="a b"' in body


def test_markup_of_pictures_stays_and_code_keeps_its_lines() -> None:
    values = {
        "pictures": [{"caption": "c", "drawing": Markup("<svg></svg>")}],
        "tables": [],
        "commands": "if\n\t<a> \x00& b",
        "presets": table("x"),
    }
    body = render_body(Section("search/front", "front", "Front", values))
    assert "<svg></svg>" in body
    assert "<pre>if\n    &lt;a&gt; &amp; b</pre>" in body


def test_a_value_that_a_template_wants_and_does_not_get_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="notes"):
        render_body(Section("report/onnx", "onnx", "Files", {"files": table("x")}))


def test_a_wheel_has_every_template_and_the_style_sheet() -> None:
    root = Path(__file__).parents[3]
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["aum_edge"]
    packed = {path for pattern in patterns for path in (root / "aum_edge").glob(pattern)}
    templates = root / "aum_edge" / "report" / "html" / "templates"
    files = {path for path in templates.rglob("*") if path.is_file()}
    assert len(files) > 15
    assert files <= packed


def table(word: str) -> Table:
    columns = [Column(word, word, number=False), Column(word)]
    return Table(word, columns, [[(word, word), word]], ["final"])
