"""Sections on accuracy: all models against their cost, classes and devices, device models."""

from __future__ import annotations

from aum_edge.report.html.render import Section
from aum_edge.report.numbers import interval, short
from aum_edge.report.plots.bars import Group, accuracies
from aum_edge.report.plots.confusion import MOST_CLASSES, NUMBERED, matrix_picture
from aum_edge.report.plots.device_models import device_models_picture
from aum_edge.report.plots.figure import Picture
from aum_edge.report.plots.pareto import Point, pareto
from aum_edge.report.tables.device_tables import cost_table, families, score_table, verdict_line
from aum_edge.report.tables.model_tables import confusion_table, device_table, models_table
from aum_edge.report.view import ReportView, confusion, scores_by

MOST_BARS = 30
"""More classes than this are shown by their worst ones."""


def accuracy_section(view: ReportView) -> Section:
    """The table of all models and where each stands against its cost."""
    limits = view.report["limits"]
    pictures = [
        _pareto(view, "macs", "MACs, exact count", limits["macs"]),
        _pareto(view, "param_bytes", "parameter bytes", limits["param_bytes"]),
    ]
    values = {"models": models_table(view), "pictures": pictures}
    return Section("report/accuracy", "accuracy", "Accuracy and cost", values)


def classes_section(view: ReportView) -> Section | None:
    """Classes, devices and mistakes of the final model."""
    devices = _devices(view)
    values = {
        "bars": [picture for picture in (_classes(view), devices) if picture],
        "confusion": _confusion(view),
        "tables": [table for table in (confusion_table(view), device_table(view)) if table],
    }
    if not any(values.values()):
        return None
    wide = len(view.report["corpus"]["labels"]) > NUMBERED
    title = "Classes and devices" if devices else "Classes"
    return Section("report/classes", "classes", title, {**values, "wide": wide})


def device_models_section(view: ReportView) -> Section | None:
    """The student and, if it was tuned, the control by device; None without device models."""
    shown = [
        (device_models_picture(family), [score_table(family), cost_table(view, family)])
        for family in families(view)
    ]
    if not shown:
        return None
    values = {"line": verdict_line(view), "families": shown}
    return Section("report/devicemodels", "devicemodels", "One model for each device", values)


def _pareto(view: ReportView, field: str, unit: str, limit: float | None) -> Picture:
    points = []
    for model in view.models:
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
    return Picture(f"Accuracy against {unit.split(',')[0]}", drawing)


def _classes(view: ReportView) -> Picture | None:
    values = scores_by(view.final, "per_class")
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return None
    names, title = sorted(known), "Accuracy by class"
    if len(names) > MOST_BARS:
        names = sorted(known, key=lambda name: known[name])[:MOST_BARS]
        title = f"Accuracy by class, the {MOST_BARS} worst of {len(known)}"
    words = ", ".join(f"{name} {100 * known[name]:.1f} %" for name in names)
    what = f"{title} of {view.final['title']}: {words}"
    return Picture(title, accuracies("per_class", [Group("", names)], view.compared, what))


def _devices(view: ReportView) -> Picture | None:
    seen, unseen = view.devices
    values = scores_by(view.final, "per_device")
    if not seen and not unseen:
        return None
    if view.report["corpus"].get("train_devices"):
        groups = [Group("in training", seen), Group("not in training", unseen)]
    else:
        groups = [Group("", seen)]
    words = "; ".join(
        f"{group.heading} "
        + ", ".join(f"{name} {100 * (values.get(name) or 0):.1f} %" for name in group.names)
        for group in groups
        if group.names
    )
    what = f"Accuracy by recording device of {view.final['title']}: {words}"
    drawing = accuracies("per_device", groups, view.compared, what)
    return Picture("Accuracy by recording device", drawing)


def _confusion(view: ReportView) -> Picture | None:
    labels = view.report["corpus"]["labels"]
    matrix = confusion(view.final, len(labels))
    if not matrix or len(labels) > MOST_CLASSES:
        return None
    what = (
        f"Confusion matrix of {view.final['title']}, {len(labels)} classes; "
        "the most frequent mistakes are in the table beside it"
    )
    drawing = matrix_picture(matrix, labels, what)
    return Picture(f"Confusion matrix, {view.final['title']}: clips", drawing)
