"""Sections on how the model came about: training curves, pruning rounds, rounded tensors."""

from __future__ import annotations

from aum_edge.report.html.render import Section
from aum_edge.report.plots.figure import Picture
from aum_edge.report.plots.rounding import rounding_picture
from aum_edge.report.plots.sensitivity import sensitivity_picture
from aum_edge.report.plots.training_curves import curves, history
from aum_edge.report.tables.compression_tables import (
    choice_table,
    kept_lines,
    kept_tensors,
    rounds_table,
)
from aum_edge.report.view import ReportView


def training_section(view: ReportView) -> Section | None:
    """Curves of every model that was trained in this run."""
    scored = [model for model in view.models if history(model, "val_accuracy")]
    lost = [
        model for model in view.models if history(model, "train_loss") or history(model, "val_loss")
    ]
    pictures = []
    if scored:
        what = "Validation accuracy by epoch of " + ", ".join(m["title"] for m in scored)
        drawing = curves(scored, {"val_accuracy": "-"}, "accuracy, %", what)
        pictures.append(Picture("Validation accuracy", drawing))
    if lost:
        what = "Training and validation loss by epoch of " + ", ".join(m["title"] for m in lost)
        drawing = curves(lost, {"train_loss": "-", "val_loss": ":"}, "loss", what)
        pictures.append(Picture("Loss: training solid, validation dotted", drawing))
    if not pictures:
        return None
    return Section("report/training", "training", "Training", {"pictures": pictures})


def pruning_section(view: ReportView) -> Section | None:
    """A table of rounds beside the curves; None where the run did not prune in rounds."""
    measured = (view.report.get("pruning") or {}).get("sensitivity") or []
    drawable = len({row["dimension"] for row in measured}) > 1
    values = {
        "rounds": rounds_table(view),
        "sensitivity": sensitivity_picture(measured) if drawable else None,
    }
    if not any(values.values()):
        return None
    return Section("report/pruning", "pruning", "Pruning", values)


def quantization_section(view: ReportView) -> Section | None:
    """A table of the choice beside the sweep; None where the run did not measure tensors."""
    found = view.report.get("quantization") or {}
    tensors = found.get("tensors") or []
    if not tensors:
        return None
    values = {
        "choice": choice_table(view),
        "kept": kept_lines(view),
        "rounding": rounding_picture(tensors, kept_tensors(found)),
    }
    return Section("report/quantization", "quantization", "Quantization", values)
