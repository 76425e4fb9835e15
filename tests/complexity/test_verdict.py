"""Verdicts: what is inside, over and not known, and the words for it."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from aum_edge.complexity.limits import Limits, presets
from aum_edge.complexity.verdict import (
    State,
    Verdict,
    VerdictRow,
    excess,
    marked,
    state_of,
    verdict_of,
    verdict_of_document,
    worst,
)

LIMITS = Limits(name="board", macs=1000, param_bytes=100)
SMALL = {"macs": 900, "param_bytes": 90, "n_params": 80}


def row(value: float | None, limit: float = 30_000_000, **fields: Any) -> VerdictRow:
    return VerdictRow(**{"count": "exact", "what": "macs", "value": value, "limit": limit} | fields)


def verdict(exact: dict[str, Any], official: dict[str, Any], lower_bound: bool = False) -> Verdict:
    return verdict_of(LIMITS, {"exact": exact, "official": official}, lower_bound)


@pytest.mark.parametrize(
    ("value", "lower_bound", "state"),
    [
        (99, False, "inside"),
        (100, False, "inside"),
        (101, False, "over"),
        (None, False, "unknown"),
        (99, True, "unknown"),
        (101, True, "over"),
        (0, False, "inside"),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(value, lower_bound: bool, state: State) -> None:
    assert row(value, 100, lower_bound=lower_bound).state == state


def test_it_is_inside_only_by_both_counts() -> None:
    both = verdict(SMALL, SMALL)
    assert (both.inside, both.within, both.state) == (True, True, "inside")
    for one in (verdict({**SMALL, "macs": 1001}, SMALL), verdict(SMALL, {**SMALL, "macs": 1001})):
        assert (one.inside, one.within, one.state) == (False, False, "over")
        assert [(found.what, found.value) for found in one.over] == [("macs", 1001)]
    unknown = verdict(SMALL, {})
    assert (unknown.inside, unknown.within, unknown.over) == (False, None, ())
    assert (unknown.state_by("exact"), unknown.state_by("official")) == ("inside", "unknown")


def test_what_is_not_known_hides_no_excess() -> None:
    assert verdict({**SMALL, "param_bytes": 101}, {}).state == "over"
    assert verdict(SMALL, {"macs": 900, "param_bytes": None}).state == "unknown"


def test_an_exact_count_with_operators_left_out_is_never_inside() -> None:
    found = verdict(SMALL, SMALL, lower_bound=True)
    assert found.state_by("exact") == "unknown"
    assert found.state_by("official") == "inside"
    assert "at least 900 of 1,000 MACs" in found.line("m", "exact")
    bytes_only = verdict_of(Limits(name="b", param_bytes=100), {"exact": SMALL}, lower_bound=True)
    assert bytes_only.state == "unknown"


def test_without_limits_there_is_nothing_to_be_over() -> None:
    found = verdict_of(presets()["none"], {"exact": SMALL, "official": SMALL})
    assert (found.state, found.rows, found.lines("Student")) == ("inside", (), [])
    assert str(found) == "The model: no limits were set."


def test_the_sentences_name_every_limited_figure() -> None:
    lines = verdict({**SMALL, "macs": 1100}, {"param_bytes": 90}).lines("Student, int8")
    assert lines == [
        "Student, int8 is over the board limits by the exact count: "
        "1,100 of 1,000 MACs, 10.0 % too many; 90 of 100 bytes.",
        "Student, int8 is not known to be inside the board limits by the official count: "
        "MACs not counted, limit 1,000; 90 of 100 bytes.",
    ]
    assert str(verdict(SMALL, SMALL)).splitlines()[1] == (
        "The model is inside the board limits by the official count: "
        "900 of 1,000 MACs; 90 of 100 bytes."
    )
    assert verdict(SMALL, {}).headline("M") == "M is not known to be inside the board limits"
    assert [marked(state) for state in ("inside", "over", "unknown")] == [
        "✓ inside",
        "✗ over",
        "? not known",
    ]


def test_a_verdict_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match=r"\.inside"):
        bool(verdict(SMALL, SMALL))


VALUES = (1, 127_999, 128_001, 2_656_768, 2_656_769, 29_999_999, 30_000_001, 31_000_000, 10**9 + 1)


def number(text: str) -> float:
    """What a text such as ``63.5 kB`` says."""
    head, _, unit = text.partition(" ")
    size = {"k": 1e3, "M": 1e6, "G": 1e9}.get(unit[:1], 1.0)
    return float(head.replace(",", "")) * size


@pytest.mark.parametrize(("value", "limit"), product(VALUES, VALUES))
@pytest.mark.parametrize("what", ["macs", "param_bytes", "n_params"])
def test_no_rounding_hides_which_is_larger(value: int, limit: int, what: str) -> None:
    found = row(value, limit, what=what)
    first, second = map(number, found.brief)
    assert (first > second, first < second) == (value > limit, value < limit)
    whole, _, rest = found.figure.partition(" of ")
    assert (number(whole), number(rest.split()[0])) == (value, limit)
    share = found.percent_of_limit
    if share.endswith("%") and share != "under 1 %":
        percent = float(share.split()[0])
        assert (percent > 100, percent < 100) == (value > limit, value < limit)


def test_texts_of_a_row() -> None:
    assert row(63_480, 128_000, what="param_bytes").brief == ("63.5 kB", "128 kB")
    assert row(29_419_156).brief == ("29.4 M", "30 M")
    assert row(30_000_001).brief == ("30.000001 M", "30 M")
    assert row(2_656_768, 2_656_768).brief == ("2.66 M", "2.66 M")
    assert row(None).brief == ("–", "30 M")
    assert str(row(30_000_001)) == ("30,000,001 of 30,000,000 MACs, 0.000003 % too many")
    assert row(1001, 1000.5).figure == "1,001 of 1,000.5 MACs"
    assert row(15_000_000).of_limit == "50 % of the limit"
    assert row(369_000_000).of_limit == "12.3 × the limit"
    assert row(1).of_limit == "under 1 % of the limit"
    assert row(None).of_limit == "not counted"
    assert [excess(share) for share in (0.033, 1.2, 0.0004)] == ["3.3 %", "120 %", "0.04 %"]


def test_documents_are_judged_like_figures() -> None:
    limits = {"name": "y", "macs": None, "param_bytes": None, "params": 100}
    document = {"exact": SMALL, "official": {"macs": 900, "param_bytes": 90}}
    assert verdict_of_document(document, limits).within is None
    document["official"] = SMALL
    assert verdict_of_document(document, limits).within is True
    assert verdict_of_document(document, limits | {"n_params": 79}).within is False
    for key, value in (("unsupported", {"aten.x": 1}), ("open_axes", ["x axis 1"])):
        assert verdict_of_document({**document, key: value}, limits).within is None


def test_states_from_documents() -> None:
    assert [state_of(value) for value in (True, False, None)] == ["inside", "over", "unknown"]
    assert worst([]) == "inside"
    assert worst(["inside", "unknown"]) == "unknown"
    assert worst(["unknown", "over", "inside"]) == "over"
