"""The sections of the page below the verdict. A section whose facts are missing is None."""

from __future__ import annotations

import json
from pathlib import PureWindowsPath
from typing import Any

import yaml

from aum_edge.report.html.markup import Markup, definition_list, preformatted, section, tag
from aum_edge.report.int8_savings import int8_lines
from aum_edge.report.numbers import interval, short, whole
from aum_edge.report.plots.confusion import MOST_CLASSES, NUMBERED, matrix_picture
from aum_edge.report.plots.figure import picture
from aum_edge.report.plots.pareto import Point, pareto
from aum_edge.report.plots.plots import Group, accuracies, curves, history, latencies
from aum_edge.report.tables.file_tables import export_table, latency_table, stage_table
from aum_edge.report.tables.model_tables import confusion_table, device_table, models_table
from aum_edge.report.tables.table import html_table, stacked
from aum_edge.report.view import ReportView, confusion, scores_by

MOST_BARS = 30
"""More classes than this are shown by their worst ones."""


def accuracy_section(facts: ReportView) -> Markup:
    """The table of all models and where each stands against its cost."""
    pictures = [
        _pareto(facts, "macs", "MACs, exact count", facts.report["limits"]["macs"]),
        _pareto(facts, "param_bytes", "parameter bytes", facts.report["limits"]["param_bytes"]),
    ]
    return section(
        "accuracy",
        "Accuracy and cost",
        html_table(models_table(facts)),
        tag(
            "p",
            "Intervals are Wilson's for independent clips; recordings that share a place or a "
            "device make the true ones wider.",
            class_="note",
        ),
        tag("div", *pictures, class_="pair"),
    )


def detail_section(facts: ReportView) -> Markup | None:
    """Classes, devices and mistakes of the final model."""
    devices = _devices(facts)
    above = [part for part in (_classes(facts), devices) if part]
    tables = stacked(confusion_table(facts), device_table(facts))
    below = [part for part in (_confusion(facts), tables) if part]
    wide = len(facts.report["corpus"]["labels"]) > NUMBERED
    parts = [
        *([tag("div", *above, class_="pair")] if above else []),
        *([tag("div", *below, class_="stack" if wide else "pair")] if below else []),
    ]
    return (
        section("classes", "Classes and devices" if devices else "Classes", *parts)
        if parts
        else None
    )


def latency_section(facts: ReportView) -> Markup | None:
    """Median, percentiles, and the ratio to the control in the same run."""
    if facts.bench is None:
        return None
    rows = [
        (_bench_title(facts, row["model"]), facts.key_of(row["model"]), row, facts.ratio(row))
        for row in facts.bench["rows"]
    ]
    words = "; ".join(f"{title} {row['p50_ms']:.3f} ms" for title, _, row, _ in rows)
    base = facts.base_latency
    lead = (
        f"Milliseconds belong to this machine; the ratio to {facts.title(base['model'])}, timed "
        "in the same run, is the result to carry elsewhere."
        if base
        else "Milliseconds belong to this machine, and no control was timed beside the models."
    )
    host = _facts(facts.bench.get("host") or {})
    machine = [tag("div", tag("h3", "Measured on"), host, class_="stack")] if host else []
    drawing = picture(latencies(rows, f"Median latency: {words}"), "Latency, one clip")
    return section(
        "latency",
        "Latency",
        tag("p", lead, class_="sub"),
        tag("div", drawing, *machine, class_="pair"),
        html_table(latency_table(facts)),
        *(tag("p", line, class_="note") for line in int8_lines(facts)),
    )


def training_section(facts: ReportView) -> Markup | None:
    """Curves of every model that was trained in this run."""
    scored = [model for model in facts.models if history(model, "val_accuracy")]
    lost = [
        model
        for model in facts.models
        if history(model, "train_loss") or history(model, "val_loss")
    ]
    pictures = []
    if scored:
        what = "Validation accuracy by epoch of " + ", ".join(m["title"] for m in scored)
        drawing = curves(scored, {"val_accuracy": "-"}, "accuracy, %", what)
        pictures.append(picture(drawing, "Validation accuracy"))
    if lost:
        what = "Training and validation loss by epoch of " + ", ".join(m["title"] for m in lost)
        drawing = curves(lost, {"train_loss": "-", "val_loss": ":"}, "loss", what)
        pictures.append(picture(drawing, "Loss: training solid, validation dotted"))
    if not pictures:
        return None
    return section("training", "Training", tag("div", *pictures, class_="pair"))


def export_section(facts: ReportView) -> Markup | None:
    """The exported files, and why one is not there."""
    if not facts.report.get("export"):
        return None
    notes = [tag("p", line, class_="note") for line in facts.report.get("export_notes") or []]
    return section("onnx", "Exported files", html_table(export_table(facts)), *notes)


def run_section(facts: ReportView) -> Markup:
    """Corpus, recipe, stage times, versions."""
    report = facts.report
    corpus, recipe = report["corpus"], report["recipe"]
    about: list[tuple[str, object]] = [
        ("Corpus", corpus["name"]),
        ("Classes", len(corpus["labels"])),
        ("Training clips", whole(corpus["n_train"])),
        ("Validation clips", whole(corpus["n_val"])),
        ("Test clips", whole(corpus["n_test"])),
        ("Recipe", recipe["name"]),
    ]
    versions = _facts(report.get("environment") or {})
    below = [part for part in (stacked(stage_table(facts)),) if part]
    if versions:
        below.append(tag("div", tag("h3", "Versions and host"), versions, class_="stack"))
    return section(
        "run",
        "What was run",
        definition_list(about),
        *_resolved(recipe.get("resolved"), recipe.get("path")),
        *([tag("div", *below, class_="pair")] if below else []),
    )


def _pareto(facts: ReportView, field: str, unit: str, limit: float | None) -> Markup:
    points = []
    for model in facts.models:
        scores, exact = model["eval"], model["complexity"]["exact"]
        low, high = interval(scores["accuracy"], int(scores["n"]))
        points.append(
            Point(
                key=model["key"],
                title=model["title"],
                cost=exact["macs"] if field == "macs" else exact["param_bytes"],
                accuracy=100 * scores["accuracy"],
                interval=(100 * low, 100 * high),
            )
        )
    words = "; ".join(f"{p.title} {p.accuracy:.1f} % at {short(p.cost)}" for p in points)
    drawing = pareto(points, limit, unit, f"Test accuracy against {unit}: {words}")
    return picture(drawing, f"Accuracy against {unit.split(',')[0]}")


def _classes(facts: ReportView) -> Markup | None:
    values = scores_by(facts.final, "per_class")
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return None
    names, title = sorted(known), "Accuracy by class"
    if len(names) > MOST_BARS:
        names = sorted(known, key=lambda name: known[name])[:MOST_BARS]
        title = f"Accuracy by class, the {MOST_BARS} worst of {len(known)}"
    words = ", ".join(f"{name} {100 * known[name]:.1f} %" for name in names)
    what = f"{title} of {facts.final['title']}: {words}"
    return picture(accuracies("per_class", [Group("", names)], facts.compared, what), title)


def _devices(facts: ReportView) -> Markup | None:
    seen, unseen = facts.devices
    values = scores_by(facts.final, "per_device")
    if not seen and not unseen:
        return None
    if facts.report["corpus"].get("train_devices"):
        groups = [Group("in training", seen), Group("not in training", unseen)]
    else:
        groups = [Group("", seen)]
    words = "; ".join(
        f"{group.heading} "
        + ", ".join(f"{name} {100 * (values.get(name) or 0):.1f} %" for name in group.names)
        for group in groups
        if group.names
    )
    what = f"Accuracy by recording device of {facts.final['title']}: {words}"
    drawing = accuracies("per_device", groups, facts.compared, what)
    return picture(drawing, "Accuracy by recording device")


def _confusion(facts: ReportView) -> Markup | None:
    labels = facts.report["corpus"]["labels"]
    matrix = confusion(facts.final, len(labels))
    if not matrix or len(labels) > MOST_CLASSES:
        return None
    what = (
        f"Confusion matrix of {facts.final['title']}, {len(labels)} classes; "
        "the most frequent mistakes are in the table beside it"
    )
    drawing = matrix_picture(matrix, labels, what)
    return picture(drawing, f"Confusion matrix, {facts.final['title']}: clips")


def _bench_title(facts: ReportView, name: str) -> str:
    title = facts.title(name)
    twins = [row for row in (facts.bench or {"rows": []})["rows"] if row["model"] == name]
    return f"{title}, {twins[0].get('runtime')}" if len(twins) > 1 else title


def _resolved(resolved: dict[str, Any] | None, path: str | None) -> list[Markup]:
    if not resolved:
        return []
    text = yaml.safe_dump(json.loads(json.dumps(resolved, default=str)), sort_keys=False)
    # Only the file's name: a page that is sent to others should not tell its author's folders.
    name = f" ({PureWindowsPath(path).name})" if path else ""
    summary = tag("summary", f"The recipe with every value, defaults included{name}")
    return [tag("details", summary, preformatted(text))]


def _facts(values: dict[str, Any]) -> Markup | None:
    pairs = [
        (key.replace("_", " "), _fact(value))
        for key, value in values.items()
        if value is not None and value != "" and value != []
    ]
    return definition_list(pairs) if pairs else None


def _fact(value: object) -> str:
    """A text as it is, a list of texts as words, anything else as JSON."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value)
