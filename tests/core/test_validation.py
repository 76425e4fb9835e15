"""Checks of settings say the key, the value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pytest

from aum_edge.core.validation import (
    above,
    at_least,
    check,
    check_words,
    one_of,
    require,
    share,
    within,
)
from aum_edge.errors import RecipeError


@dataclass(frozen=True)
class Settings:
    kind: Literal["adam", "sgd"] = "adam"
    rate: float = 1.0


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        (lambda: check(False, "no"), "no"),
        (lambda: require(False, "a.b", "odd", 2), "`a.b` must be odd, got 2."),
        (lambda: at_least("a.b", 1, 2), "`a.b` must be at least 2, got 1."),
        (lambda: one_of("a.b", "x", ("y", "z")), "`a.b` must be one of y, z; got 'x'."),
        (lambda: within("a.b", 2, 0, 1), "`a.b` must lie between 0 and 1, got 2."),
        (lambda: within("a.b", float("nan"), 0, 1), "`a.b` must lie between 0 and 1, got nan."),
        (lambda: above("a.b", 0, 0), "`a.b` must be above 0, got 0."),
        (lambda: above("a.b", float("inf"), 0), "`a.b` must be above 0, got inf."),
        (lambda: share("a.b", 1), "`a.b` must lie between 0 and 1, got 1."),
        (
            lambda: check_words("a", Settings(kind="lion")),  # type: ignore[arg-type]
            "`a.kind` must be adam or sgd, got lion.",
        ),
    ],
)
def test_what_is_refused_is_said(refuse: Callable[[], None], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        refuse()
    assert str(caught.value) == words


def test_what_is_allowed_passes() -> None:
    check(True, "no")
    require(True, "a", "odd", 1)
    at_least("a", 2, 2)
    one_of("a", "x", ("x",))
    within("a", 1, 0, 1)
    above("a", 0.1, 0)
    share("a", 0.5)
    check_words("a", Settings(rate=-1))
