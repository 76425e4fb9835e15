"""One trial: training, int8 validation scores, saved models and its record."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aum_edge.compression.quantization.quantize import quantize
from aum_edge.core.files import read_json, write_json
from aum_edge.core.text import one_line
from aum_edge.errors import AumEdgeError, CompressionError, DataError, DiskError, RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.recipe import StudentConfig, plain
from aum_edge.search.context import SearchContext
from aum_edge.search.records import Record, trial_folder
from aum_edge.search.space.candidate import Cost, cost_of, errors_only, fresh, student_config
from aum_edge.search.space.dimensions import Params
from aum_edge.search.space.student_settings import settings_of
from aum_edge.training.fit import FitResult, fit
from aum_edge.training.loop.history import Row
from aum_edge.training.metrics.classification import evaluate

VALUES = "params.json"
OnValue = Callable[[list[float]], str]
"""From the best accuracy up to each epoch to why the trial ends; empty goes on."""


class TrialPruned(Exception):  # noqa: N818 - no error
    """The trial ends here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """A model to be trained and what it costs."""

    number: int
    params: Params
    settings: StudentConfig
    model: AudioClassifier
    cost: Cost
    latency: dict[str, float]
    folder: Path
    """Where its models go."""


def make_plan(context: SearchContext, number: int, params: Params) -> TrialPlan | Record:
    """Build the model and count it; a rejected record if it is none or over a limit."""
    recipe = context.recipe
    try:
        settings = settings_of(recipe.student, params)
        config = student_config(settings.model, len(context.data.labels), recipe)
        step = {"step": "search", "trial": number, "params": plain(params), "seed": recipe.seed}
        labels, levels = tuple(context.data.labels), context.data.normalization
        model = fresh(config, recipe, labels, levels, ({**step, "search": recipe.name},))
    except RecipeError as error:
        return _record(context, number, params, "rejected", reason=str(error))
    cost = cost_of(model, recipe, context.limits)
    latency: dict[str, float] = {}
    if cost.fits and recipe.timed:
        with errors_only():
            small = quantize(model, replace(recipe.quantize, method="max"))
            latency = context.latency(small, trial_folder(context.out, number))
        most = recipe.constraints.latency
        if most is not None and latency["ratio"] > most:
            cost = replace(cost, over={"latency": latency["ratio"] / most - 1})
    if not cost.fits:
        found = cost.to_dict()
        return _record(context, number, params, "rejected", reason=cost.why_not, cost=found)
    return TrialPlan(
        number=number,
        params=params,
        settings=settings,
        model=model,
        cost=cost,
        latency=latency,
        folder=trial_folder(context.out, number),
    )


def run_plan(context: SearchContext, plan: TrialPlan, work: Path, on_value: OnValue) -> Record:
    """Train, quantize, score and save; the record of a complete, pruned or failed trial.

    ``work`` keeps the epochs, from which a trial of the same values goes on; it may be removed
    once the record is written down.

    Raises:
        KeyboardInterrupt: If the user stops it.
        OSError: If the disk is full or gone.
    """
    clock = time.monotonic()
    curve: list[float] = []

    def on_epoch(history: Sequence[Row]) -> None:
        curve[:] = best_so_far(history)
        reason = on_value(list(curve))
        if reason:
            raise TrialPruned(reason)

    values: dict[str, Any] = {"cost": plan.cost.to_dict(), "latency": dict(plan.latency)}
    state, found = "complete", {}
    _own(work, plan)
    try:
        with errors_only():
            result = _fitted(context, plan, work, on_epoch)
            found = _scored(context, plan, result)
        curve[:] = best_so_far(result.history)
    except TrialPruned as reason:
        state, found = "pruned", {"reason": str(reason)}
    except (CompressionError, DataError, RecipeError, RuntimeError, ArithmeticError) as error:
        if not _of_the_trial(error):
            raise
        state, found = "failed", {"reason": one_line(error, 300)}
    values |= {"curve": list(curve), "seconds": round(time.monotonic() - clock, 1), **found}
    values.setdefault("objectives", costs_of(plan))
    return _record(context, plan.number, plan.params, state, **values)


def costs_of(plan: TrialPlan) -> dict[str, float]:
    """The objectives that are known before training."""
    known = {"macs": float(plan.cost.macs), "bytes": float(plan.cost.bytes)}
    return known | ({"latency": plan.latency["ratio"]} if plan.latency else {})


def best_so_far(history: Sequence[Row]) -> list[float]:
    """The best validation macro accuracy up to each epoch; mAP where clips have several labels."""
    name = "val_macro_accuracy" if history and "val_macro_accuracy" in history[0] else "val_map"
    curve: list[float] = []
    for row in history:
        curve.append(max(float(row[name]), curve[-1] if curve else 0.0))
    return curve


def repeat_of(context: SearchContext, number: int, params: Params, earlier: Record) -> Record:
    """The record of a trial whose values were drawn before: the same result for no work."""
    return replace(
        earlier,
        number=number,
        state="repeat" if earlier.state == "complete" else "rejected",
        reason=f"repeats trial {earlier.number}",
        finished=_now(),
        seconds=0.0,
        host=platform.node(),
        pid=os.getpid(),
        model="",
    )


def _own(work: Path, plan: TrialPlan) -> None:
    """Take a folder of epochs; those of a trial with other values are no use and go."""
    mine = {"params": plain(plan.params)}
    if read_json(work / VALUES) != mine:
        shutil.rmtree(work, ignore_errors=True)
        write_json(work / VALUES, mine)


def _fitted(
    context: SearchContext, plan: TrialPlan, work: Path, on_epoch: Callable[[Sequence[Row]], None]
) -> FitResult:
    teacher = context.distillation
    if teacher is not None:
        teacher = replace(teacher, config=plan.settings.distill)
    return fit(
        plan.model,
        context.data,
        plan.settings.train,
        work,
        seed=context.recipe.seed,
        title=f"trial {plan.number}",
        distillation=teacher,
        on_epoch=on_epoch,
    )


def _scored(context: SearchContext, plan: TrialPlan, result: FitResult) -> dict[str, Any]:
    """Validation scores in float and int8, and both models saved."""
    arrays, labels = context.data.arrays["val"], context.data.labels
    model = result.model
    small = quantize(model, context.recipe.quantize)
    found = evaluate(small, arrays, labels, small.activation).to_dict()
    before = evaluate(model, arrays, labels, model.activation).to_dict()
    save(model, plan.folder / "model")
    save(small, plan.folder / "model_int8")
    accuracy = found["macro_accuracy"] if "macro_accuracy" in found else found["map"]
    return {
        "objectives": {"accuracy": float(accuracy), **costs_of(plan)},
        "val": _brief(found),
        "val_float": _brief(before),
        "best_epoch": result.best_epoch,
        "model": "model",
    }


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scores.items() if isinstance(value, int | float)}


def _of_the_trial(error: Exception) -> bool:
    """Whether the error is the trial's own; a full disk or a wrong recipe would meet all."""
    if isinstance(error, DiskError):
        return False
    return not isinstance(error, AumEdgeError) or isinstance(error, CompressionError | DataError)


def _record(
    context: SearchContext, number: int, params: Params, state: str, **values: Any
) -> Record:
    return Record(
        number=number,
        state=state,
        key=context.key,
        params=plain(params),
        host=platform.node(),
        pid=os.getpid(),
        finished=_now(),
        **values,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
