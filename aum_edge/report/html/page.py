"""The whole page: one HTML file that needs nothing else and asks the network for nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from aum_edge.report.html.devices import device_models_section
from aum_edge.report.html.macs import complexity_section
from aum_edge.report.html.markup import Markup, join, tag
from aum_edge.report.html.pruning import pruning_section
from aum_edge.report.html.quantization import quantization_section
from aum_edge.report.html.sections import (
    accuracy_section,
    detail_section,
    export_section,
    latency_section,
    run_section,
    training_section,
)
from aum_edge.report.html.style import style_sheet
from aum_edge.report.html.verdict import verdict_section
from aum_edge.report.schema import Report
from aum_edge.report.view import ReportView

# The browser itself then refuses scripts and anything from elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="aum-edge">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def page(report: Report) -> str:
    """The report as HTML. Cost: about a second, nearly all of it drawing."""
    facts = ReportView(report)
    made = [
        verdict_section(facts),
        accuracy_section(facts),
        detail_section(facts),
        device_models_section(facts),
        latency_section(facts),
        complexity_section(facts),
        training_section(facts),
        pruning_section(facts),
        quantization_section(facts),
        export_section(facts),
        run_section(facts),
    ]
    sections = [section for section in made if section]
    body = join([_header(facts, sections), tag("main", *sections), _footer(report)], "\n")
    title = tag("title", report["title"])[len("<title>") : -len("</title>")]
    return HEAD.format(policy=POLICY, title=title, style=style_sheet(), body=body)


def _header(facts: ReportView, sections: list[Markup]) -> Markup:
    report = facts.report
    corpus = report["corpus"]
    line = (
        f"{corpus['name']}, {len(corpus['labels'])} classes; recipe {report['recipe']['name']}; "
        f"{moment(report['created'])}"
    )
    return page_header(report["title"], line, sections)


def page_header(title: str, line: str, sections: Sequence[Markup]) -> Markup:
    """Title, a line of facts, and links to all sections but the first."""
    links = [
        tag("a", Markup(found.group(2)), href=f"#{found.group(1)}")
        for section in sections[1:]
        if (found := re.match(r'<section id="([a-z]+)"><h2>([^<]*)</h2>', section))
    ]
    return tag("header", tag("h1", title), tag("p", line, class_="sub"), tag("nav", *links))


def moment(text: str) -> str:
    """A time in ISO form as people write it."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


def _footer(report: Report) -> Markup:
    version = (report.get("environment") or {}).get("aum_edge")
    made = f"Made by aum-edge {version}" if version else "Made by aum-edge"
    return tag("footer", f"{made} from report.json, which holds every number of this page.")
