"""The page of a search: its front, what mattered, every trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aum_edge.report.html.markup import Markup, definition_list, join, preformatted, section, tag
from aum_edge.report.html.page import HEAD, POLICY, moment, page_header
from aum_edge.report.html.style import style_sheet
from aum_edge.report.numbers import duration, percent, short, size, whole
from aum_edge.report.plots.figure import picture
from aum_edge.report.search.plots import Bubble, bubbles, curves, shares
from aum_edge.report.search.tables import (
    Report,
    commands,
    counts_table,
    front_table,
    importance_table,
    known_table,
    preset_table,
    trials_table,
    value_table,
)
from aum_edge.report.tables.table import html_table

CONTROL = "cp-mobile"
AXES = {
    "macs": ("MACs, exact count", "macs", "bytes"),
    "bytes": ("bytes in int8", "param_bytes", "macs"),
}
"""By cost: words for the axis, the limit's name, what the bubble's area shows."""


def search_page(report: Report) -> str:
    """The report of a search as HTML. Cost: a second or two of drawing."""
    made = [_head(report), _front(report), _mattered(report), _trials(report), _how(report)]
    sections = [part for part in made if part]
    body = join([_header(report, sections), tag("main", *sections), _footer(report)], "\n")
    title = tag("title", report["title"])[len("<title>") : -len("</title>")]
    return HEAD.format(policy=POLICY, title=title, style=style_sheet(), body=body)


def headline(report: Report) -> str:
    """What was found, in a sentence."""
    best = report["front"][0] if report["front"] else None
    if best is None:
        return "No trial was trained to its end yet."
    return (
        f"The best model found reaches {percent(best['accuracy'])} % on validation clips with "
        f"{short(best['macs'])} MACs and {size(best['bytes'])} in int8."
    )


def notes(report: Report) -> list[str]:
    """What a reader must know to judge the numbers."""
    lines = [
        "Accuracy is the macro accuracy of the int8 model on validation clips, at the epoch and "
        "of the trial that were best on them: it flatters. Test clips were not looked at."
    ]
    if report["counts"]["pruned"]:
        lines.append(
            "Trials ended early were behind most models that cost as much or less, at the same "
            "epoch."
        )
    return lines


def _header(report: Report, sections: Sequence[Markup]) -> Markup:
    corpus = report["corpus"]
    line = (
        f"{corpus['name']}, {len(corpus['labels'])} classes, {whole(corpus['n_train'])} training "
        f"and {whole(corpus['n_val'])} validation clips; recipe {report['recipe']['name']}; "
        f"{moment(report['created'])}"
    )
    return page_header(report["title"], line, sections)


def _head(report: Report) -> Markup:
    counts = report["counts"]
    tiles = [
        ("on the front", whole(len(report["front"])), "models that nothing found dominates"),
        ("trained", whole(counts["complete"]), "trials to their last epoch"),
        ("ended early", whole(counts["pruned"]), "hopeless beside cheaper ones"),
        ("rejected", whole(counts["rejected"]), "over a limit, before any training"),
    ]
    boxes = [
        tag("div", tag("span", a), tag("b", b), tag("span", c), class_="tile") for a, b, c in tiles
    ]
    return tag(
        "section",
        tag("h2", headline(report)),
        *(tag("p", line, class_="note") for line in notes(report)),
        tag("div", *boxes, class_="tiles"),
        class_="verdict",
        id="found",
    )


def _front(report: Report) -> Markup | None:
    if not report["front"]:
        return None
    pictures = [
        picture(_bubbles(report, cost), f"Accuracy against {AXES[cost][0]}") for cost in AXES
    ]
    tables = [front_table(report), known_table(report)]
    return section(
        "front",
        "Pareto front",
        tag(
            "p",
            "Steps are what the front reaches at a cost. The area of a bubble is its bytes on the "
            "left and its MACs on the right. Squares are presets and the diamond is CP-Mobile, "
            "trained as the trials were; the strip below shows what presets cost untrained.",
            class_="note",
        ),
        tag("div", *pictures, class_="pair"),
        *(html_table(table) for table in tables if table),
        tag("h3", "Train one of them fully"),
        preformatted(commands(report)),
        tag(
            "details", tag("summary", "Presets at this front end"), html_table(preset_table(report))
        ),
    )


def _bubbles(report: Report, cost: str) -> Markup:
    words, limit, other = AXES[cost]
    points = [
        Bubble(
            kind="front" if row["front"] else "trial",
            title=f"trial {row['number']}",
            cost=row[cost],
            accuracy=100 * row["accuracy"],
            size=row[other],
        )
        for row in report["trials"]
        if row["state"] == "complete"
    ]
    for name, values in report["references"].items():
        if values["objectives"].get("accuracy") is not None:
            points.append(
                Bubble(
                    kind="control" if name == CONTROL else "reference",
                    title=name,
                    cost=values["cost"][cost],
                    accuracy=100 * values["objectives"]["accuracy"],
                    size=values["cost"][other],
                )
            )
    untrained = {
        name: values[cost]
        for name, values in report["presets"].items()
        if name not in report["references"]
    }
    return bubbles(points, report["limits"][limit], untrained, words)


def _mattered(report: Report) -> Markup | None:
    known = {name: values for name, values in report["importance"].items() if values}
    tables = [table for table in (importance_table(report), value_table(report)) if table]
    if not tables:
        return None
    pictures = [
        picture(shares(list(values.items()), name), f"What decided {name}")
        for name, values in known.items()
    ]
    few = (
        "Shares say which fields the best quarter of the trials agree on more than all trials do; "
        "a search of some dozens gives a hint, no proof."
        if known
        else "Too few complete trials for shares of importance."
    )
    return section(
        "fields",
        "Which fields mattered",
        tag("p", few, class_="note"),
        *([tag("div", *pictures, class_="pair")] if pictures else []),
        *(html_table(table) for table in tables),
    )


def _trials(report: Report) -> Markup | None:
    if not report["trials"]:
        return None
    lines = [
        ("front" if row["front"] else row["state"], [100 * value for value in row["curve"]])
        for row in report["trials"]
        if row["curve"]
    ]
    failed = [f"trial {row['number']}: {row['reason']}" for row in report["failures"]]
    return section(
        "trials",
        "Trials",
        tag(
            "div",
            *([picture(curves(lines), "Validation accuracy by epoch")] if lines else []),
            html_table(counts_table(report)),
            class_="pair",
        ),
        *(tag("p", line, class_="loud") for line in failed),
        html_table(trials_table(report)),
    )


def _how(report: Report) -> Markup:
    resolved: dict[str, Any] = report["recipe"]["resolved"]
    facts = [
        ("Objectives", ", ".join(report["objectives"])),
        ("Limits", report["limits"]["name"]),
        ("Proposed by", resolved["sampler"]["kind"]),
        ("Ended early by", report["pruner"]),
        ("Storage", report["storage"]),
        ("Machines", ", ".join(f"{name} ({n})" for name, n in report["hosts"].items())),
        ("Time of all trials", duration(report["seconds"])),
        ("Teacher", "none, from scratch" if resolved["teacher"] is None else "distilled"),
        ("Seed", str(resolved["seed"])),
    ]
    text = "\n".join(f"{name}: {rule}" for name, rule in resolved["space"].items())
    environment = [(name, str(value)) for name, value in report["environment"].items()]
    return section(
        "how",
        "How it was searched",
        definition_list(facts),
        tag("h3", "Space"),
        preformatted(text),
        tag("details", tag("summary", "Versions"), definition_list(environment)),
    )


def _footer(report: Report) -> Markup:
    version = report["environment"].get("aum_edge")
    return tag(
        "footer", f"Made by aum-edge {version} from report.json, which holds every number here."
    )
