"""Tables of the models: the same on the HTML page, in Markdown and in the model cards."""

from __future__ import annotations

from collections.abc import Sequence

from aum_edge.complexity.limits import Figure
from aum_edge.complexity.verdict import COUNTS, MARKS, Count, exactly, marked
from aum_edge.report.numbers import (
    UNKNOWN,
    fixed,
    interval,
    milliseconds,
    percent,
    short,
    size,
    times,
    whole,
)
from aum_edge.report.palette import model_colour
from aum_edge.report.schema import Model
from aum_edge.report.tables.table import Cell, Column, Table
from aum_edge.report.view import ReportView, confusions, scores_by

HEADS: dict[Figure, str] = {"param_bytes": "Bytes", "macs": "MACs", "n_params": "Parameters"}


def shown_figures(view: ReportView) -> list[Figure]:
    """Bytes and MACs, and parameters where the report's limits count them."""
    limited = view.report["limits"].get("n_params") is not None
    return ["param_bytes", "macs", *(("n_params",) if limited else ())]


def models_table(view: ReportView) -> Table:
    """Every model: how good, how large, how fast."""
    n = view.final["eval"]["n"]
    columns = [
        Column("Model", number=False),
        Column("Accuracy", "%, 95 % interval"),
        Column("Macro", "%"),
        Column("Log loss"),
        Column("Parameters"),
        Column("Bytes"),
        Column("MACs", "exact"),
        Column("MACs", "official"),
    ]
    if view.bench:
        columns += [Column("Latency", "p50, ms"), Column("Ratio", "to the control")]
    return Table(
        f"Test split, {whole(n)} clips; ✗ is over a limit",
        columns,
        [_model_row(view, model) for model in view.models],
        [model_colour(model["key"], index) for index, model in enumerate(view.models)],
    )


def budget_table(view: ReportView, models: Sequence[Model]) -> Table:
    """Bytes, MACs and, where they are limited, parameters against the limits, by both counts."""
    limits = view.report["limits"]
    shown = shown_figures(view)
    rows: list[list[Cell]] = []
    for model in models:
        verdict = view.verdict(model["complexity"])
        for count in COUNTS:
            values = dict(model["complexity"][count])
            pairs = [(values.get(what), dict(limits).get(what)) for what in shown]
            cells = [_number(value) for pair in pairs for value in pair]
            rows.append([model["title"], count, *cells, marked(verdict.state_by(count))])
    columns = [Column("Model", number=False), Column("Count", number=False)]
    for what in shown:
        columns += [Column(HEADS[what]), Column("Limit")]
    columns.append(Column("Verdict", number=False))
    return Table(f"Budget: {limits['name']}", columns, rows)


def device_table(view: ReportView) -> Table | None:
    """Mean accuracy over seen and over unseen devices, if both are known."""
    seen, unseen = view.devices
    if not seen or not unseen:
        return None
    rows: list[list[Cell]] = []
    for model in view.models:
        values = scores_by(model, "per_device")
        means = [_mean([values.get(name) for name in names]) for names in (seen, unseen)]
        known = means[0] is not None and means[1] is not None
        gap = f"{100 * ((means[1] or 0) - (means[0] or 0)):+.1f}".replace("-", "−")
        rows.append(
            [model["title"], percent(means[0]), percent(means[1]), gap if known else UNKNOWN]
        )
    columns = [
        Column("Model", number=False),
        Column("Seen", f"%, mean of {len(seen)}"),
        Column("Unseen", f"%, mean of {len(unseen)}"),
        Column("Gap", "points"),
    ]
    colours = [model_colour(model["key"], index) for index, model in enumerate(view.models)]
    return Table("Accuracy on devices that were and were not in training", columns, rows, colours)


def special_table(view: ReportView) -> Table | None:
    """exp, log, sigmoid, division and their like, counted by element."""
    models = [model for model in view.models if _special(model)]
    names = sorted({name for model in models for name in _special(model)})
    if not names:
        return None
    rows: list[list[Cell]] = [
        [model["title"], *(short(_special(model).get(name, 0)) for name in names)]
        for model in models
    ]
    columns = [Column("Model", number=False), *(Column(name) for name in names)]
    colours = [model_colour(model["key"], index) for index, model in enumerate(models)]
    return Table("Special functions a clip, by element; they are no MACs", columns, rows, colours)


def memory_table(view: ReportView) -> Table | None:
    """What a count of MACs leaves out: buffers, states, activations."""
    fields = {
        "buffer_bytes": ("Buffers", size),
        "state_elements": ("State", short),
        "peak_activation_bytes": ("Activations", size),
    }
    known = [
        field
        for field in fields
        if any(model["complexity"]["exact"].get(field) is not None for model in view.models)
    ]
    if not known:
        return None
    rows: list[list[Cell]] = []
    for model in view.models:
        exact = dict(model["complexity"]["exact"])
        values = [exact.get(field) for field in known]
        rows.append(
            [
                model["title"],
                *(
                    fields[field][1](value if isinstance(value, int | float) else None)
                    for field, value in zip(known, values, strict=True)
                ),
            ]
        )
    hints = {"state_elements": "elements", "peak_activation_bytes": "peak"}
    columns = [Column(fields[field][0], hints.get(field, "")) for field in known]
    colours = [model_colour(model["key"], index) for index, model in enumerate(view.models)]
    return Table("Memory a clip", [Column("Model", number=False), *columns], rows, colours)


def confusion_table(view: ReportView) -> Table | None:
    """The most frequent mistakes of the final model."""
    found = confusions(view.final, view.report["corpus"]["labels"])
    if not found:
        return None
    rows: list[list[Cell]] = [
        [true, answer, whole(clips), percent(share)] for true, answer, clips, share in found
    ]
    columns = [
        Column("True", number=False),
        Column("Answered", number=False),
        Column("Clips"),
        Column("Share", "% of true"),
    ]
    return Table("Most frequent mistakes", columns, rows)


def _model_row(view: ReportView, model: Model) -> list[Cell]:
    scores, counted = model["eval"], model["complexity"]
    low, high = interval(scores["accuracy"], int(scores["n"]))
    exact, official = counted["exact"], counted["official"]
    over = {(row.count, row.what) for row in view.verdict(counted).over}

    def mark(text: str, *places: tuple[Count, Figure]) -> str:
        return f"{MARKS['over']} {text}" if over.intersection(places) else text

    row: list[Cell] = [
        (model["title"], model["architecture"]),
        (percent(scores["accuracy"]), f"{percent(low)} to {percent(high)}"),
        percent(scores["macro_accuracy"]),
        fixed(scores["log_loss"], 3),
        mark(whole(model["n_params"]), ("exact", "n_params"), ("official", "n_params")),
        mark(size(exact["param_bytes"]), ("exact", "param_bytes"), ("official", "param_bytes")),
        mark(short(exact["macs"]), ("exact", "macs")),
        mark(short(official["macs"]), ("official", "macs")),
    ]
    if view.bench:
        latency = view.latency(model["key"])
        row += [
            milliseconds(latency["p50_ms"]) if latency else UNKNOWN,
            times(view.ratio(latency)),
        ]
    return row


def _number(value: object) -> str:
    return exactly(value) if isinstance(value, int | float) else UNKNOWN


def _special(model: Model) -> dict[str, float]:
    return model["complexity"]["exact"].get("special_functions", {})


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
