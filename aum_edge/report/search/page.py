"""The page of a search: Pareto front, importance of the fields, every trial."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from aum_edge.report.html.render import Facts, Section, moment, render_page
from aum_edge.report.numbers import duration, percent, short, size, whole
from aum_edge.report.plots.figure import Picture
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

CONTROL = "cp-mobile"
AXES = {
    "macs": ("MACs, exact count", "macs", "bytes"),
    "bytes": ("bytes in int8", "param_bytes", "macs"),
}
"""By cost: words for the axis, the limit's name, what the bubble's area shows."""


def search_page(report: Report) -> str:
    """The report of a search as HTML. Cost: a second or two of drawing."""
    made = [_head(report), _front(report), _mattered(report), _trials(report), _how(report)]
    corpus = report["corpus"]
    line = (
        f"{corpus['name']}, {len(corpus['labels'])} classes, {whole(corpus['n_train'])} training "
        f"and {whole(corpus['n_val'])} validation clips; recipe {report['recipe']['name']}; "
        f"{moment(report['created'])}"
    )
    version = report["environment"].get("aum_edge")
    source = f"Made by aum-edge {version} from report.json, which holds every number here."
    return render_page(report["title"], line, [part for part in made if part], source)


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
    """Notes on how the numbers were measured."""
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


def _head(report: Report) -> Section:
    counts = report["counts"]
    tiles = [
        ("on the front", whole(len(report["front"])), "models that nothing found dominates"),
        ("trained", whole(counts["complete"]), "trials to their last epoch"),
        ("ended early", whole(counts["pruned"]), "worse than models that cost no more"),
        ("rejected", whole(counts["rejected"]), "over a limit, before any training"),
    ]
    values = {"notes": notes(report), "tiles": tiles}
    return Section("search/found", "found", headline(report), values, "verdict")


def _front(report: Report) -> Section | None:
    if not report["front"]:
        return None
    values = {
        "pictures": [
            Picture(f"Accuracy against {words}", _bubbles(report, cost))
            for cost, (words, *_) in AXES.items()
        ],
        "tables": [table for table in (front_table(report), known_table(report)) if table],
        "commands": commands(report),
        "presets": preset_table(report),
    }
    return Section("search/front", "front", "Pareto front", values)


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


def _mattered(report: Report) -> Section | None:
    known = {name: values for name, values in report["importance"].items() if values}
    tables = [table for table in (importance_table(report), value_table(report)) if table]
    if not tables:
        return None
    pictures = [
        Picture(f"What decided {name}", shares(list(values.items()), name))
        for name, values in known.items()
    ]
    shown = {"pictures": pictures, "tables": tables}
    return Section("search/fields", "fields", "Which fields mattered", shown)


def _trials(report: Report) -> Section | None:
    if not report["trials"]:
        return None
    lines = [
        ("front" if row["front"] else row["state"], [100 * value for value in row["curve"]])
        for row in report["trials"]
        if row["curve"]
    ]
    values = {
        "curves": Picture("Validation accuracy by epoch", curves(lines)) if lines else None,
        "counts": counts_table(report),
        "failures": [f"trial {row['number']}: {row['reason']}" for row in report["failures"]],
        "trials": trials_table(report),
    }
    return Section("search/trials", "trials", "Trials", values)


def _how(report: Report) -> Section:
    resolved: dict[str, Any] = report["recipe"]["resolved"]
    facts: Facts = [
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
    values = {
        "facts": facts,
        "space": "\n".join(f"{name}: {rule}" for name, rule in resolved["space"].items()),
        "versions": list(report["environment"].items()),
    }
    return Section("search/how", "how", "How it was searched", values)
