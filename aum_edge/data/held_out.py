"""Which split a fold or a speaker belongs to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from aum_edge.data.manifest import Split
from aum_edge.data.validate import few
from aum_edge.errors import DataError

Part = TypeVar("Part", str, int)


def held_out(part: Part, validated: Collection[Part], tested: Collection[Part]) -> Split:
    """``test`` or ``val`` for what is held out for either, else ``train``."""
    if part in tested:
        return "test"
    return "val" if part in validated else "train"


def check_held_out(
    corpus: str, part: str, known: Collection[Part], validated: Collection[Part], tested: set[Part]
) -> None:
    """Parts (``fold`` or ``speaker``) to test on are there, and nobody validates on them.

    Raises:
        DataError: Nothing is held out for testing, a part does not exist, or one serves both.
    """
    there = f"its {part}s are {', '.join(map(str, sorted(known)))}."
    unknown = sorted((tested | set(validated)) - set(known))
    if unknown or not tested:
        named = few(list(map(str, unknown)))
        got = f"has no {part} {named}" if unknown else f"needs `test_{part}s`"
        raise DataError(f"Corpus `{corpus}` {got}; {there}")
    both = sorted(tested & set(validated))
    if both:
        raise DataError(
            f"`val_{part}s` and `test_{part}s` share {few(list(map(str, both)))}: a model would "
            f"be chosen by what it is tested on; {there}"
        )
