"""Training stages: the teacher, the distilled student, the control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from aum_edge.audio.config import FrontEndConfig
from aum_edge.compression.quantization.quantize import halve
from aum_edge.core.distributed import is_rank_zero, rank_zero_first, require_launch
from aum_edge.data.manifest import Split
from aum_edge.models.classifier import Activation, AudioClassifier, load
from aum_edge.models.registry import architecture_of, build
from aum_edge.models.storage.directory import save
from aum_edge.pipeline.recipe import ModelChoice, Recipe, TeacherMember
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.challenge_rules import data_name
from aum_edge.training.config import Loss, TrainConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.distillation.teacher_logits import teacher_logits
from aum_edge.training.fit import fit
from aum_edge.training.initialise import initial_model, initial_model_key
from aum_edge.training.metrics.classification import evaluate, score

History = list[dict[str, float | int]]


def train_teacher(run: Run, folder: Path) -> dict[str, Any]:
    """Train the teachers, or take given model directories; of several kinds, each in its turn."""
    settings = run.recipe.teacher
    models = [load(Path(path)) for path in settings.checkpoints]
    histories: list[History] = [[] for _ in models]
    first = TeacherMember(model=settings.model, members=0 if models else settings.members)
    for kind in (first, *settings.also):
        for _ in range(kind.members):
            number = len(models)
            alone = number == 0 and settings.members == 1 and not settings.also
            model, history = train_model(
                _with_front_end(run, kind.frontend),
                kind.model,
                kind.train or settings.train,
                folder / f"fit-{number}",
                "teacher" if alone else f"teacher {number + 1}",
                number,
            )
            models.append(model)
            histories.append(history)
    for number, model in enumerate(models):
        keep(model, folder / member_name(number))
    weights = settings.weights
    together = {"ensemble": teacher_scores(run, models, weights)} if len(models) > 1 else {}
    return {
        "members": len(models),
        "weights": list(weights),
        **teacher_scores(run, models[:1]),
        **together,
        "kinds": [_kind(model) for model in models],
        "history": histories[0],
    }


def distill(run: Run, folder: Path) -> dict[str, Any]:
    """Train the student on labels and on the teacher's logits."""
    settings = run.recipe.student
    model, history = train_model(
        run, settings.model, settings.train, folder / "fit", "student", 0, distillation(run)
    )
    keep(model, folder / "model")
    return {**scores(run, model), "history": history}


def train_control(run: Run, folder: Path) -> dict[str, Any]:
    """Train the CNN control on the same data, with the teacher if the recipe says so; in 16 bit."""
    settings = run.recipe.control
    teacher = distillation(run, settings.train.loss) if settings.distill else None
    model, history = train_model(
        run, settings.model, settings.train, folder / "fit", "control", 0, teacher
    )
    model = halve(model)
    keep(model, folder / "model")
    return {**scores(run, model), "history": history}


def train_model(
    run: Run,
    choice: ModelChoice,
    train: TrainConfig,
    work: Path,
    title: str,
    member: int,
    distillation: Distillation | None = None,
) -> tuple[AudioClassifier, History]:
    """Build and fit one model of the run; the weights that are kept, and the history."""
    require_launch(train.trainer.devices, train.trainer.num_nodes)
    data = run.data
    seed = run.recipe.seed + 1000 * member
    torch.manual_seed(seed)
    model = AudioClassifier(
        build(choice.config(len(data.labels), data.frontend)),
        frontend=data.frontend,
        normalization=data.normalization,
        labels=tuple(data.labels),
        lineage=(_first_step(run, title, choice, train, seed),),
        activation="sigmoid" if train.loss == "bce" else "softmax",
    )
    if choice.init:
        initial_model(model, Path(choice.init), choice.init_rule)
    result = fit(model, data, train, work, seed=seed, title=title, distillation=distillation)
    return result.model, result.history


def _first_step(
    run: Run, title: str, choice: ModelChoice, train: TrainConfig, seed: int
) -> dict[str, Any]:
    """How a model came to be, with the data from outside that its run declares."""
    recipe = run.recipe
    step: dict[str, Any] = {
        "step": title,
        "preset": choice.preset,
        "seed": seed,
        "loss": train.loss,
        "data": data_name(recipe.data),
    }
    if recipe.external_data:
        step["external_data"] = [asdict(entry) for entry in recipe.external_data]
    return step


def _with_front_end(run: Run, frontend: FrontEndConfig | None) -> Run:
    """The run, or one whose corpus has the features of another front end."""
    if frontend is None or frontend == run.data.frontend:
        return run
    other = replace(run, recipe=replace(run.recipe, frontend=frontend), view=None)
    with rank_zero_first():
        _ = other.data
    return other


def distillation(run: Run, kind: Loss | None = None) -> Distillation:
    """The run's teachers, and their logits of its training clips.

    ``kind`` is the loss of who learns from them; the student's when not given.
    """
    result, settings = run.result("teacher"), run.recipe.student
    teachers = [run.model("teacher", member_name(index)) for index in range(result["members"])]
    weights = tuple(result.get("weights", ()))
    with rank_zero_first():
        logits = teacher_logits(
            teachers,
            run.data,
            run.cache_dir,
            run.progress,
            weights=weights,
            kind=kind or settings.train.loss,
        )
    return Distillation(
        config=settings.distill,
        logits=logits,
        teachers=tuple(teachers),
        weights=weights,
        progress=run.progress,
    )


def member_name(index: int) -> str:
    """Folder of one of several models of a stage."""
    return "model" if index == 0 else f"model-{index}"


def keep(model: AudioClassifier, folder: Path) -> None:
    """Save a model; of several processes the first one alone does."""
    if is_rank_zero():
        save(model, folder)


def teacher_scores(
    run: Run, models: Sequence[AudioClassifier], weights: Sequence[float] = ()
) -> dict[str, Any]:
    """As :func:`scores` of several teachers as one, whatever their front ends and classes."""
    if not is_rank_zero():
        return {}
    data = run.data
    made: dict[str, Any] = {}
    kind = run.recipe.student.train.loss
    splits: tuple[Split, ...] = ("val", "test")
    for split in splits:
        logits = teacher_logits(
            models, data, run.cache_dir, run.progress, weights=weights, kind=kind, split=split
        )
        activation: Activation = "sigmoid" if kind == "bce" else "softmax"
        made[split] = score(logits, data.arrays[split], data.labels, activation).to_dict()
    return made


def _kind(model: AudioClassifier) -> dict[str, Any]:
    config = model.backbone.config
    return {
        "architecture": architecture_of(config),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def scores(run: Run, model: AudioClassifier) -> dict[str, Any]:
    """Validation and test metrics of a model; empty in processes that only help."""
    if not is_rank_zero():
        return {}
    arrays, labels = run.data.arrays, run.data.labels
    return {
        "val": evaluate(model, arrays["val"], labels, model.activation).to_dict(),
        "test": evaluate(model, arrays["test"], labels, model.activation).to_dict(),
    }


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
        name="control",
        needs=("data", "teacher"),
        settings=lambda r: _training_settings("control", r, r.control, r.control.model),
        work=train_control,
        trains=True,
    ),
)
