"""The host's facts read as words."""

from __future__ import annotations

from aum_edge.report.html.sections import _facts


def test_lists_of_words_are_words_and_unknowns_are_left_out() -> None:
    made = _facts({"cpu_flags": ["avx2", "fma"], "load_average": [0.5, 1], "openvino": None})
    assert made is not None
    assert "avx2 fma" in made
    assert "cpu flags" in made
    assert "[0.5, 1]" in made
    assert "openvino" not in made
    assert _facts({"cpu_flags": []}) is None
