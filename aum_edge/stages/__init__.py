"""The stages of the main job: data, teacher, distill, prune, quantize, control, export, bench."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aum_edge.pipeline import Stage
from aum_edge.recipe import ModelChoice, Recipe
from aum_edge.stages.corpus import prepare
from aum_edge.stages.deployment import bench, export
from aum_edge.stages.learning import distill, train_control, train_teacher
from aum_edge.stages.pruning import prune_student
from aum_edge.stages.quantization import quantize_student
from aum_edge.training.start import start_key


def _teacher_settings(recipe: Recipe) -> Any:
    teacher = recipe.teacher
    settings = _training_settings("teacher", recipe.seed, teacher, teacher.model)
    others = [start_key(kind.model.init) for kind in teacher.also]
    return settings | {"given": [start_key(path) for path in teacher.checkpoints], "also": others}


def _training_settings(name: str, seed: int, settings: Any, choice: ModelChoice) -> dict[str, Any]:
    return {"seed": seed, name: asdict(settings), "init": start_key(choice.init)}


STAGES = (
    Stage(
        name="data",
        needs=(),
        settings=lambda r: {"data": asdict(r.data), "frontend": asdict(r.frontend)},
        work=prepare,
    ),
    Stage(
        name="teacher", needs=("data",), settings=_teacher_settings, work=train_teacher, trains=True
    ),
    Stage(
        name="distill",
        needs=("teacher",),
        settings=lambda r: _training_settings("student", r.seed, r.student, r.student.model),
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
        settings=lambda r: _training_settings("control", r.seed, r.control, r.control.model),
        work=train_control,
        trains=True,
    ),
    Stage(
        name="export",
        needs=("prune", "quantize", "control"),
        settings=lambda r: asdict(r.export),
        work=export,
    ),
    Stage(name="bench", needs=("export",), settings=lambda r: asdict(r.bench), work=bench),
)
