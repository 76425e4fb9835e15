"""The page of a run: which sections it has, and in which order."""

from __future__ import annotations

from collections.abc import Callable

from aum_edge.report.html.accuracy import accuracy_section, classes_section, device_models_section
from aum_edge.report.html.cost import complexity_section, latency_section
from aum_edge.report.html.render import Section, moment, render_page
from aum_edge.report.html.run import export_section, run_section
from aum_edge.report.html.training import pruning_section, quantization_section, training_section
from aum_edge.report.html.verdict import verdict_section
from aum_edge.report.schema import Report
from aum_edge.report.view import ReportView

SECTIONS: tuple[Callable[[ReportView], Section | None], ...] = (
    verdict_section,
    accuracy_section,
    classes_section,
    device_models_section,
    latency_section,
    complexity_section,
    training_section,
    pruning_section,
    quantization_section,
    export_section,
    run_section,
)
"""In the order of the page; one whose values the report lacks is None."""


def page(report: Report) -> str:
    """The report as HTML. Cost: about a second, nearly all of it drawing."""
    view = ReportView(report)
    sections = [section for make in SECTIONS if (section := make(view))]
    corpus = report["corpus"]
    line = (
        f"{corpus['name']}, {len(corpus['labels'])} classes; recipe {report['recipe']['name']}; "
        f"{moment(report['created'])}"
    )
    version = (report.get("environment") or {}).get("aum_edge")
    made = f"Made by aum-edge {version}" if version else "Made by aum-edge"
    source = f"{made} from report.json, which holds every number of this page."
    return render_page(report["title"], line, sections, source)
