"""Texts of messages: an exception in one line, the first of many names."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 5
"""Names of a list that a message shows."""


def one_line(error: object, most: int | None = None) -> str:
    """An exception's message in one line of ``most`` characters, without its last full stop."""
    return " ".join(str(error).split())[:most].rstrip(".")


def few(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    text = ", ".join(names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"
