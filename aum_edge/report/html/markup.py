"""HTML from values that may hold anything: every text is escaped where it enters the page."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

HIDDEN = {"Cc", "Cs", "Co"}
DIRECTION = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


class Markup(str):
    """HTML that is safe to put in a page as it is. Only this file and the charts make it."""

    __slots__ = ()


def clean(value: object) -> str:
    """One line of visible text: control and direction-changing characters are taken out."""
    text = " ".join(str(value).split())
    kept = (c for c in text if unicodedata.category(c) not in HIDDEN and c not in DIRECTION)
    return "".join(kept)


def clipped(value: object, most: int = 26) -> str:
    """Visible text of at most ``most`` characters, its middle left out when it is longer."""
    text = clean(value)
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def escape(value: object) -> Markup:
    """Text as HTML; markup stays as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(clean(value), quote=True))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Parts one after the other, each escaped unless it is markup."""
    return Markup(between.join(escape(part) for part in parts))


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """One element; attributes ``class_`` and ``aria_label`` become class and aria-label."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{words}>{join(children)}</{name}>")


def definition_list(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Names and values, one pair a line."""
    lines = [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs]
    return tag("dl", *lines, class_="facts")


def words(text: str, *parts: object) -> Markup:
    """Text and elements with a blank between each two of them."""
    return join((text, *parts), " ")


def preformatted(text: str) -> Markup:
    """Text in lines, its line breaks and indentation kept."""
    lines = (html.escape(line.replace("\t", "    ")) for line in text.splitlines())
    return Markup(f"<pre>{chr(10).join(lines)}</pre>")


def section(name: str, title: str, *parts: object) -> Markup:
    """A part of the page with a heading; ``name`` is what links lead to."""
    return tag("section", tag("h2", title), *parts, id=name)
