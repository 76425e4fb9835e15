"""The stages of the main job, from data to bench."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aum_edge.pipeline.recipe import ModelChoice, Recipe
from aum_edge.pipeline.run import Stage
from aum_edge.pipeline.stages.challenge_rules import check_rules
from aum_edge.pipeline.stages.data import prepare
from aum_edge.pipeline.stages.devices import tune_devices
from aum_edge.pipeline.stages.export import bench, export
from aum_edge.pipeline.stages.prune import prune_student
from aum_edge.pipeline.stages.quantize import quantize_student
from aum_edge.pipeline.stages.train import distill, train_control, train_teacher
from aum_edge.training.initialise import initial_model_key


def _teacher_settings(recipe: Recipe) -> Any:
    teacher = recipe.teacher
    settings = _training_settings("teacher", recipe, teacher, teacher.model)
    others = [initial_model_key(kind.model.init) for kind in teacher.also]
    return settings | {
        "given": [initial_model_key(path) for path in teacher.checkpoints],
        "also": others,
    }


def _training_settings(
    name: str, recipe: Recipe, settings: Any, choice: ModelChoice
) -> dict[str, Any]:
    made = {"seed": recipe.seed, name: asdict(settings), "init": initial_model_key(choice.init)}
    # Lineages hold declarations; without any, keys stay as they were.
    outside = [asdict(entry) for entry in recipe.external_data]
    return {**made, "external_data": outside} if outside else made


STAGES = (
    Stage(
        name="data",
        needs=(),
        settings=lambda r: {"data": r.data.key(), "frontend": asdict(r.frontend)},
        work=prepare,
        check=check_rules,
    ),
    Stage(
        name="teacher", needs=("data",), settings=_teacher_settings, work=train_teacher, trains=True
    ),
    Stage(
        name="distill",
        needs=("teacher",),
        settings=lambda r: _training_settings("student", r, r.student, r.student.model),
        work=distill,
        trains=True,
    ),
    Stage(
        name="prune",
        needs=("distill", "teacher"),
        settings=lambda r: {"seed": r.seed, "prune": asdict(r.prune)},
        work=prune_student,
        trains=True,
    ),
    Stage(
        name="quantize",
        needs=("prune", "teacher"),
        settings=lambda r: {"seed": r.seed, "quantize": asdict(r.quantize)},
        work=quantize_student,
        trains=True,
    ),
    Stage(
        name="control",
        needs=("data", "teacher"),
        settings=lambda r: _training_settings("control", r, r.control, r.control.model),
        work=train_control,
        trains=True,
    ),
    Stage(
        name="devices",
        needs=("prune", "quantize", "teacher", "control"),
        settings=lambda r: (
            {"seed": r.seed, "devices": asdict(r.devices)} if r.devices.names else {}
        ),
        work=tune_devices,
        trains=True,
    ),
    Stage(
        name="export",
        needs=("prune", "quantize", "control"),
        settings=lambda r: asdict(r.export),
        work=export,
        version=2,
    ),
    Stage(name="bench", needs=("export",), settings=lambda r: asdict(r.bench), work=bench),
)
