"""Text from outside as one visible line: the same for the page, Markdown and the plots."""

from __future__ import annotations

import unicodedata

HIDDEN = {"Cc", "Cs", "Co"}
"""Unicode categories without a visible form: control characters, surrogates, private use."""
DIRECTION = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""Characters that change the direction of the text around them."""


def clean(value: object) -> str:
    """One line of visible text: control and direction-changing characters are taken out."""
    return visible(" ".join(str(value).split()))


def visible(line: str) -> str:
    """A line without control and direction-changing characters, its blanks as they are."""
    return "".join(c for c in line if unicodedata.category(c) not in HIDDEN and c not in DIRECTION)


def clipped(value: object, most: int = 26) -> str:
    """Visible text of at most ``most`` characters, its middle left out when it is longer."""
    text = clean(value)
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"
