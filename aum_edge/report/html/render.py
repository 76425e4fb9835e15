"""Pages from jinja2 templates: one HTML file without external resources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aum_edge.report.palette import DARK, LIGHT
from aum_edge.report.text import clean, visible

Facts = Sequence[tuple[str, object]]
"""Names and values, shown one pair a line."""


@dataclass(frozen=True)
class Section:
    """One part of a page: a heading, and the values that its template shows."""

    template: str
    """Path of the template below ``templates/``, without ``.html.j2``."""
    name: str
    """What links lead to."""
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    """The template's variables: texts, numbers as texts, and data classes of them."""
    css_class: str = ""


def render_page(title: str, line: str, sections: Sequence[Section], source: str) -> str:
    """A whole page: title, a line about the run, links to all sections but the first, the sections.

    Args:
        title: Title of the page.
        line: What the page is about, below its title.
        sections: In their order on the page.
        source: Last line of the page: who made it from what.
    """
    bodies = [(section, render_body(section)) for section in sections]
    template = _TEMPLATES.get_template("page.html.j2")
    return template.render(
        title=title, line=line, bodies=bodies, source=source, light=LIGHT, dark=DARK
    )


def render_body(section: Section) -> Markup:
    """What a section's template makes of its values, without the heading."""
    template = _TEMPLATES.get_template(f"{section.template}.html.j2")
    return Markup(template.render(section.values))


def as_facts(values: Mapping[str, Any]) -> Facts:
    """Pairs of what is known: a text as it is, a list of texts as words, the rest as JSON."""
    return [
        (name.replace("_", " "), _words(value))
        for name, value in values.items()
        if value is not None and value != "" and value != []
    ]


def moment(text: str) -> str:
    """A time in ISO form as people write it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def _words(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def _one_line(value: object) -> object:
    """Every value that is no markup enters the page as one line of visible text."""
    return value if hasattr(value, "__html__") else clean(value)


def _preformatted(text: str) -> Markup:
    """Escaped text with its line breaks and indentation."""
    lines = (visible(line.replace("\t", "    ")) for line in text.splitlines())
    return escape("\n".join(lines))


_TEMPLATES = Environment(
    loader=PackageLoader("aum_edge.report.html"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_one_line,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["preformatted"] = _preformatted
