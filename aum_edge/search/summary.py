"""The report of a search as one document, from the records alone."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import optuna
import yaml
from optuna.trial import create_trial

from aum_edge.core.files import write_text
from aum_edge.pipeline.recipe import plain
from aum_edge.pipeline.run import environment
from aum_edge.search.config import Objective, SearchRecipe
from aum_edge.search.context import SearchContext
from aum_edge.search.importance import by_value, importances
from aum_edge.search.records import Record
from aum_edge.search.references import preset_costs, read_references
from aum_edge.search.study.optuna_adapter import directions
from aum_edge.search.study.storage import quiet_optuna

TIMES = 3
"""A full training has so many times the epochs of a trial, unless the recipe says."""


def summarise(context: SearchContext, records: Sequence[Record], storage: str) -> dict[str, Any]:
    """The report's document; also writes the recipe that full trainings start from."""
    recipe = context.recipe
    best = front(records, recipe.objectives)
    on_front = {record.number for record in best}
    trained = [record for record in records if record.state in ("complete", "pruned")]
    full = recipe.full or _write_full(context)
    return {
        "schema_version": 1,
        "kind": "search",
        "title": recipe.title or recipe.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": {"name": recipe.name, "resolved": recipe.resolved()},
        "corpus": {
            "name": context.data.manifest.name,
            "labels": list(context.data.labels),
            "n_train": len(context.data.arrays["train"]),
            "n_val": len(context.data.arrays["val"]),
        },
        "objectives": list(recipe.objectives),
        "pruner": recipe.pruner,
        "limits": plain(asdict(context.limits)),
        "storage": storage,
        "counts": _counts(records),
        "rejections": _rejections(records),
        "seconds": round(sum(record.seconds for record in records), 1),
        "hosts": dict(Counter(record.host for record in trained)),
        "front": [
            _row(record, True) | {"command": command(recipe, full, record)} for record in best
        ],
        "trials": [_row(record, record.number in on_front) for record in trained],
        "failures": [{"number": r.number, "reason": r.reason} for r in _of(records, "failed")],
        "references": read_references(context.out, context.key),
        "presets": preset_costs(recipe, tuple(context.data.labels), context),
        "importance": {
            name: importances(records, recipe.dimensions, name) for name in recipe.objectives
        },
        "by_value": by_value(records, recipe.dimensions),
        "environment": environment(),
    }


def front(records: Sequence[Record], objectives: Sequence[Objective]) -> list[Record]:
    """Complete trials that no other is at least as good as in everything and better in one.

    Of trials with equal values the first counts. In order of falling accuracy.
    """
    quiet_optuna()
    complete = [record for record in records if record.state == "complete"]
    study = optuna.create_study(directions=directions(objectives))
    for record in complete:
        study.add_trial(create_trial(values=[record.objectives[name] for name in objectives]))
    best = {tuple(trial.values): complete[trial.number] for trial in study.best_trials[::-1]}
    return sorted(best.values(), key=lambda record: (-record.objectives["accuracy"], record.number))


def command(recipe: SearchRecipe, full: str, record: Record) -> str:
    """The command that trains a found model fully, to be pasted into a shell."""
    name = f"{recipe.name}-trial-{record.number}"
    model = dict(recipe.student.model.overrides)
    training: list[tuple[str, Any]] = []
    for field, value in record.params.items():
        if field.partition(".")[0] in ("train", "distill") and "." in field:
            training.append((f"student.{field}", value))
        else:
            model[field] = value
    epochs = recipe.full_epochs or TIMES * recipe.student.train.epochs
    settings = [
        ("name", name),
        ("student.model.preset", recipe.student.model.preset),
        ("student.model.overrides", plain(model)),
        ("student.train.epochs", epochs),
        *training,
    ]
    words = ["aum-edge", "run", full]
    for key, value in settings:
        text = value if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{key}={text}"]
    return shlex.join(words)


def _write_full(context: SearchContext) -> str:
    file = context.out / "full.yaml"
    values = context.recipe.run_recipe().resolved()
    if context.recipe.teacher is None:
        # From scratch, as the trials were: the hard labels alone.
        values["student"]["distill"]["kd_lambda"] = 0.0
    write_text(file, yaml.safe_dump(values, sort_keys=False))
    return str(file)


def _row(record: Record, on_front: bool) -> dict[str, Any]:
    cost = record.cost
    return {
        "number": record.number,
        "state": record.state,
        "front": on_front,
        "params": record.params,
        "accuracy": record.objectives.get("accuracy"),
        "accuracy_float": record.val_float.get("macro_accuracy", record.val_float.get("map")),
        "macs": cost.get("macs"),
        "bytes": cost.get("bytes"),
        "n_params": cost.get("n_params"),
        "official_macs": cost.get("official_macs"),
        "official_bytes": cost.get("official_bytes"),
        "latency": record.latency or None,
        "curve": record.curve,
        "best_epoch": record.best_epoch,
        "seconds": record.seconds,
        "reason": record.reason,
        "model": f"trials/{record.number}/{record.model}" if record.model else None,
    }


def _counts(records: Sequence[Record]) -> dict[str, int]:
    states = ("complete", "pruned", "failed", "repeat", "rejected")
    found = Counter(record.state for record in records)
    return {state: found.get(state, 0) for state in states}


def _rejections(records: Sequence[Record]) -> dict[str, int]:
    """How often each limit was what a model broke; no_model where values do not fit."""
    found: Counter[str] = Counter()
    for record in _of(records, "rejected"):
        over = record.cost.get("over") or {"no_model": 1}
        found.update(over.keys())
    return dict(found.most_common())


def _of(records: Sequence[Record], state: str) -> list[Record]:
    return [record for record in records if record.state == state]
