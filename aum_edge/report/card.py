"""Model cards: what a model is for, where it comes from, what it costs and where it ends."""

from __future__ import annotations

import json
from typing import Any

from aum_edge.errors import AumEdgeError
from aum_edge.models.storage.card import front_matter
from aum_edge.report.numbers import fixed, interval, milliseconds, percent, times, whole
from aum_edge.report.schema import Model
from aum_edge.report.tables.model_tables import budget_table
from aum_edge.report.tables.table import markdown_table, markdown_text
from aum_edge.report.validation import checked
from aum_edge.report.view import Grouping, ReportView, scores_by

CORPORA = {
    "synthetic": "The clips are generated scenes, not recordings: the scores say how well the "
    "method works on them and nothing about real places.",
    "tau": "TAU Urban Acoustic Scenes has a licence of its own: read it before the weights are "
    "passed on or used commercially.",
    "esc": "ESC-10 is CC BY; the rest of ESC-50 is CC BY-NC, and so bound to non-commercial use.",
    "fsdd": "The Free Spoken Digit Dataset (CC BY-SA) has a few speakers, one language and quiet "
    "rooms.",
}
FEW_CLIPS = 300


def model_card(report: dict[str, Any], model_key: str) -> str:
    """README.md of one model of the report.

    Raises:
        AumEdgeError: If the report is not complete or has no model ``model_key``.
    """
    view = ReportView(checked(report))
    model = view.model(model_key)
    if model is None:
        known = ", ".join(f"`{other['key']}`" for other in view.models)
        raise AumEdgeError(f"The report has no model `{model_key}`; it has {known}.")
    parts = [
        _front(view, model),
        f"# {markdown_text(model['title'])}: {markdown_text(view.report['title'])}",
        _summary(view, model),
        "## Intended use",
        _use(view, model),
        "## Data",
        _data(view),
        "## How it was made",
        _lineage(view, model),
        "## Scores",
        _scores(view, model),
        "## Budget",
        markdown_table(budget_table(view, [model])),
        markdown_text(_latency(view, model)),
        "## Limits",
        _limits(view, model),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(view: ReportView, model: Model) -> str:
    scores = {"accuracy": float(model["eval"]["accuracy"])}
    return front_matter(scores, model["title"], view.report["corpus"]["name"])


def _summary(view: ReportView, model: Model) -> str:
    classes = len(view.report["corpus"]["labels"])
    return markdown_text(
        f"{model['architecture']} with {whole(model['n_params'])} parameters that sorts "
        f"audio clips into {classes} classes; the {model['stage']} stage of the recipe "
        f"{view.report['recipe']['name']} made it."
    )


def _use(view: ReportView, model: Model) -> str:
    labels = ", ".join(markdown_text(label) for label in view.report["corpus"]["labels"])
    return (
        "Classifying short clips of the kind it was trained on, on a CPU. It answers one of its "
        f"classes to anything it hears, silence and unknown sounds too.\n\nClasses: {labels}.\n\n"
        '```python\nimport aum_edge\n\nmodel = aum_edge.load("this-folder")\n```'
    )


def _data(view: ReportView) -> str:
    corpus = view.report["corpus"]
    lines = [
        f"{corpus['name']}: {whole(corpus['n_train'])} training, {whole(corpus['n_val'])} "
        f"validation and {whole(corpus['n_test'])} test clips."
    ]
    trained = corpus.get("train_devices")
    if trained:
        lines.append(f"Devices in training: {', '.join(trained)}.")
    name = corpus["name"].lower()
    lines += [remark for start, remark in CORPORA.items() if name.startswith(start)]
    return markdown_text(" ".join(lines))


def _lineage(view: ReportView, model: Model) -> str:
    steps = model.get("lineage", [])
    if not steps:
        return markdown_text(f"The {model['stage']} stage; its steps were not written down.")
    return "\n".join(f"{index}. {_step(step)}" for index, step in enumerate(steps, start=1))


def _step(step: dict[str, Any]) -> str:
    name = markdown_text(step.get("step", "step"))
    details = [
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in step.items()
        if key != "step"
    ]
    return f"{name}: {markdown_text('; '.join(details))}" if details else name


def _scores(view: ReportView, model: Model) -> str:
    scores = model["eval"]
    low, high = interval(scores["accuracy"], int(scores["n"]))
    lines = [
        f"Test accuracy {percent(scores['accuracy'])} % ({percent(low)} to {percent(high)}, 95 %), "
        f"macro {percent(scores['macro_accuracy'])} %, log loss {fixed(scores['log_loss'], 3)} on "
        f"{whole(scores['n'])} clips."
    ]
    for title, other in (("teacher", view.teacher), ("control", view.control)):
        if other and other["key"] != model["key"]:
            lines.append(f"The {title} reaches {percent(other['eval']['accuracy'])} %.")
    return markdown_text(" ".join(lines))


def _latency(view: ReportView, model: Model) -> str:
    row = view.latency(model["key"])
    if row is None:
        return ""
    host = (view.bench or {}).get("host", {}) if view.bench else {}
    cpu = host.get("cpu")
    ratio = view.ratio(row)
    beside = (
        f", {times(ratio)} the control" if ratio and view.key_of(row["model"]) != "control" else ""
    )
    runtime = row.get("runtime", "one runtime")
    return (
        f"Median latency {milliseconds(row['p50_ms'])} ms a clip in {runtime} on "
        f"{row.get('threads', 1)} thread{beside}" + (f" ({cpu})." if cpu else ".")
    )


def _limits(view: ReportView, model: Model) -> str:
    n = int(model["eval"]["n"])
    lines = [
        f"It does worst on {_worst(model, 'per_class')}." if _worst(model, "per_class") else "",
        _devices(view, model),
        f"The test split has only {n} clips: differences of a few points may be chance."
        if n < FEW_CLIPS
        else "",
        _against_control(view, model),
        "Its probabilities are not calibrated for decisions that matter to people.",
        "Latency was measured on one machine; measure again on yours.",
    ]
    return "\n".join(f"* {markdown_text(line)}" for line in lines if line)


def _worst(model: Model, field: Grouping) -> str:
    known = [(value, name) for name, value in scores_by(model, field).items() if value is not None]
    return ", ".join(f"{name} ({percent(value)} %)" for value, name in sorted(known)[:3])


def _devices(view: ReportView, model: Model) -> str:
    seen, unseen = view.devices
    if not unseen:
        return ""
    values = scores_by(model, "per_device")
    known = [[v for n in names if (v := values.get(n)) is not None] for names in (seen, unseen)]
    if not all(known):
        return ""
    means = [percent(sum(group) / len(group)) for group in known]
    return f"On devices that were not in training it reaches {means[1]} % instead of {means[0]} %."


def _against_control(view: ReportView, model: Model) -> str:
    control = view.control
    if control is None or control["key"] == model["key"] or model["key"] == "teacher":
        return ""
    gap = 100 * (model["eval"]["accuracy"] - control["eval"]["accuracy"])
    if gap > 0:
        return ""
    return f"The control, {control['title']}, does as well or better here ({-gap:.1f} points)."
