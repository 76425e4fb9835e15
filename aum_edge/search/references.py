"""Reference models trained as the trials are: presets and CP-Mobile."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from aum_edge.audio.config import FrontEndConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.core.files import read_json, write_json
from aum_edge.core.locks import hold_lock
from aum_edge.core.progress import Progress
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import PRESETS, STUDENTS
from aum_edge.pipeline.recipe import ModelChoice
from aum_edge.search.config import SearchRecipe
from aum_edge.search.context import CONTROL, SearchContext
from aum_edge.search.records import Record
from aum_edge.search.space.candidate import cost_of, errors_only, fresh
from aum_edge.search.space.student_settings import settings_of
from aum_edge.search.trial import TrialPlan, run_plan

FOLDER = "references"


def check_references(recipe: SearchRecipe) -> None:
    """Refuse names and values that would fail after the search.

    Raises:
        RecipeError: If one is no preset, or a value is no setting of its training.
    """
    for name, changes in recipe.references.items():
        if name not in PRESETS:
            raise RecipeError(
                f"`references` names `{name}`, which is no preset; there are {', '.join(PRESETS)}."
            )
        _settings(recipe, name, changes or {})


def train_references(context: SearchContext, progress: Progress | None = None) -> None:
    """Train those that no process has trained or is training."""
    for name, changes in context.recipe.references.items():
        folder = context.out / FOLDER / name
        with hold_lock(folder.parent / f"{name}.lock", wait=False) as held:
            if held and read_json(folder / "record.json").get("key") != context.key:
                write_json(folder / "record.json", _train(context, name, changes or {}, progress))
                shutil.rmtree(context.out / "work" / name, ignore_errors=True)


def read_references(out: Path, key: str) -> dict[str, dict[str, Any]]:
    """The records of finished references by preset."""
    found = {path.parent.name: read_json(path) for path in (out / FOLDER).glob("*/record.json")}
    return {name: values for name, values in sorted(found.items()) if values.get("key") == key}


def preset_costs(
    recipe: SearchRecipe, labels: tuple[str, ...], context: SearchContext
) -> dict[str, Any]:
    """What every student preset and CP-Mobile cost at this front end, untrained."""
    found = {}
    for name in (*STUDENTS, CONTROL):
        config = ModelChoice(preset=name).config(len(labels), recipe.frontend)
        found[name] = cost_of(fresh(config, recipe, labels), recipe, context.limits).to_dict()
    return found


def _train(
    context: SearchContext, name: str, changes: dict[str, Any], progress: Progress | None
) -> dict[str, Any]:
    recipe = context.recipe
    settings = _settings(recipe, name, changes)
    labels = tuple(context.data.labels)
    step = {"step": "reference", "preset": name, "seed": recipe.seed, "search": recipe.name}
    config = settings.model.config(len(labels), recipe.frontend)
    model = fresh(config, recipe, labels, context.data.normalization, (step,))
    plan = TrialPlan(
        number=-1,
        params=changes,
        settings=settings,
        model=model,
        cost=cost_of(model, recipe, context.limits),
        latency=_latency(context, model),
        folder=context.out / FOLDER / name,
    )

    def on_value(curve: list[float]) -> str:
        if progress:
            progress(len(curve), settings.train.epochs, f"reference {name}")
        return ""

    record: Record = run_plan(context, plan, context.out / "work" / name, on_value)
    return record.to_dict()


def _latency(context: SearchContext, model: AudioClassifier) -> dict[str, float]:
    if not context.recipe.timed:
        return {}
    with errors_only():
        small = quantize(model, replace(context.recipe.quantize, method="max"))
        return context.latency(small, context.out / FOLDER)


def _settings(recipe: SearchRecipe, name: str, changes: dict[str, Any]) -> Any:
    base = replace(recipe.student, model=ModelChoice(preset=name))
    made = settings_of(base, changes)
    made.model.config(2, FrontEndConfig())
    return made
