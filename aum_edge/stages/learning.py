"""Training stages: the teacher, the distilled student, the control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from aum_edge.compression.half import halve
from aum_edge.models.build import build
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.directory import load, save
from aum_edge.pipeline import Run
from aum_edge.recipe import ModelChoice
from aum_edge.training.config import Loss, TrainConfig
from aum_edge.training.fit import Distillation, fit
from aum_edge.training.launch import leader, leader_first, require_launch
from aum_edge.training.metrics import evaluate
from aum_edge.training.start import start_model
from aum_edge.training.teacher import teacher_logits


def train_teacher(run: Run, folder: Path) -> dict[str, Any]:
    """Train the teacher, or several, or take given model directories."""
    settings = run.recipe.teacher
    if settings.checkpoints:
        models = [load(Path(path)) for path in settings.checkpoints]
        histories: list[list[dict[str, float | int]]] = [[] for _ in models]
    else:
        models, histories = [], []
        for member in range(settings.members):
            title = "teacher" if settings.members == 1 else f"teacher {member + 1}"
            model, history = train_model(
                run, settings.model, settings.train, folder / f"fit-{member}", title, member
            )
            models.append(model)
            histories.append(history)
    for member, model in enumerate(models):
        keep(model, folder / member_name(member))
    return {"members": len(models), **scores(run, models[0]), "history": histories[0]}


def distill(run: Run, folder: Path) -> dict[str, Any]:
    """Train the student on labels and on the teacher's logits."""
    settings = run.recipe.student
    model, history = train_model(
        run, settings.model, settings.train, folder / "fit", "student", 0, distillation(run)
    )
    keep(model, folder / "model")
    return {**scores(run, model), "history": history}


def train_control(run: Run, folder: Path) -> dict[str, Any]:
    """Train the CNN control on the same data and, if asked, the same teacher; stored in 16 bit."""
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
) -> tuple[AudioClassifier, list[dict[str, float | int]]]:
    """Build and fit one model of the run; the model at its best epoch, and the history."""
    require_launch(train.trainer.devices, train.trainer.num_nodes)
    data = run.data
    seed = run.recipe.seed + 1000 * member
    torch.manual_seed(seed)
    model = AudioClassifier(
        build(choice.config(len(data.labels), run.recipe.frontend)),
        frontend=run.recipe.frontend,
        normalization=data.normalization,
        labels=tuple(data.labels),
        lineage=({"step": title, "preset": choice.preset, "seed": seed, "loss": train.loss},),
        activation="sigmoid" if train.loss == "bce" else "softmax",
    )
    if choice.init:
        start_model(model, Path(choice.init), choice.init_rule)
    result = fit(model, data, train, work, seed=seed, title=title, distillation=distillation)
    return result.model, result.history


def distillation(run: Run, kind: Loss | None = None) -> Distillation:
    """The run's teachers, and their answers to its training clips.

    ``kind`` is the loss of who learns from them; the student's when not given.
    """
    result, settings = run.result("teacher"), run.recipe.student
    teachers = [run.model("teacher", member_name(index)) for index in range(result["members"])]
    weights = tuple(result.get("weights", ()))
    with leader_first():
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
    if leader():
        save(model, folder)


def scores(run: Run, model: AudioClassifier) -> dict[str, Any]:
    """Validation and test metrics of a model; empty in processes that only help."""
    if not leader():
        return {}
    arrays, labels = run.data.arrays, run.data.labels
    return {
        "val": evaluate(model, arrays["val"], labels, model.activation).to_dict(),
        "test": evaluate(model, arrays["test"], labels, model.activation).to_dict(),
    }
