"""The stages of the main job: data, teacher, distill, prune, quantize, control, export, bench."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.bench.latency import measure
from aum_edge.compression.half import halve
from aum_edge.compression.prune import prune
from aum_edge.compression.quantize import quantize
from aum_edge.compression.static_qdq import quantize_onnx
from aum_edge.export.onnx import export_onnx
from aum_edge.export.runner import OnnxClassifier
from aum_edge.models.build import build
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.directory import load, save
from aum_edge.pipeline import Run, Stage
from aum_edge.recipe import ModelChoice, Recipe
from aum_edge.training.config import TrainConfig
from aum_edge.training.fit import Distillation, fit
from aum_edge.training.launch import leader, leader_first, require_launch
from aum_edge.training.metrics import evaluate, predict_logits
from aum_edge.training.start import start_key, start_model
from aum_edge.training.teacher import teacher_logits

log = logging.getLogger(__name__)
CALIBRATION_CLIPS = 128
PARITY_CLIPS = 256


def prepare(run: Run, folder: Path) -> dict[str, Any]:
    """What the corpus holds, and the normalisation of its training split."""
    data = run.data
    clips = {split: len(arrays.labels) for split, arrays in data.arrays.items()}
    devices = {split: sorted(set(arrays.devices) - {""}) for split, arrays in data.arrays.items()}
    return {
        "corpus": data.manifest.name,
        "labels": list(data.labels),
        "clips": clips,
        "devices": devices,
        "normalization": {"mean": data.normalization.mean, "std": data.normalization.std},
        "fingerprint": data.fingerprint,
    }


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
            model, history = _train(
                run, settings.model, settings.train, folder / f"fit-{member}", title, member
            )
            models.append(model)
            histories.append(history)
    for member, model in enumerate(models):
        _keep(model, folder / _member(member))
    return {"members": len(models), **_scores(run, models[0]), "history": histories[0]}


def distill(run: Run, folder: Path) -> dict[str, Any]:
    """Train the student on labels and on the teacher's logits."""
    settings = run.recipe.student
    model, history = _train(
        run, settings.model, settings.train, folder / "fit", "student", 0, _distillation(run)
    )
    _keep(model, folder / "model")
    return {**_scores(run, model), "history": history}


def prune_student(run: Run, folder: Path) -> dict[str, Any]:
    """Cut the student to the recipe's target, then let it recover by distillation."""
    settings = run.recipe.prune
    require_launch(settings.recover.trainer.devices, settings.recover.trainer.num_nodes)
    cut = prune(run.model("distill"), settings.cut, list(_batches(run)))
    before = evaluate(cut, run.data.arrays["val"], run.data.labels, cut.activation).accuracy
    result = fit(
        cut,
        run.data,
        settings.recover,
        folder / "fit",
        seed=run.recipe.seed,
        title="pruned student",
        distillation=_distillation(run),
    )
    _keep(result.model, folder / "model")
    scores = _scores(run, result.model)
    return {"val_accuracy_before_recovery": before, **scores, "history": result.history}


def quantize_student(run: Run, folder: Path) -> dict[str, Any]:
    """int8 weights for the student; agreement with the float model on the test clips."""
    model = run.model("prune")
    small = quantize(model, run.recipe.quantize)
    save(small, folder / "model")
    features = run.data.arrays["test"].features
    same = predict_logits(small, features).argmax(1) == predict_logits(model, features).argmax(1)
    return {**_scores(run, small), "agreement_with_float": float(same.float().mean())}


def train_control(run: Run, folder: Path) -> dict[str, Any]:
    """Train the CNN control on the same data and, if asked, the same teacher; stored in 16 bit."""
    settings = run.recipe.control
    teacher = _distillation(run) if settings.distill else None
    model, history = _train(
        run, settings.model, settings.train, folder / "fit", "control", 0, teacher
    )
    model = halve(model)
    _keep(model, folder / "model")
    return {**_scores(run, model), "history": history}


def export(run: Run, folder: Path) -> dict[str, Any]:
    """ONNX files of the student (float, int8 weights, int8 throughout) and of the control."""
    test = np.asarray(run.data.arrays["test"].features)
    clips = torch.from_numpy(np.array(test[:PARITY_CLIPS])).unsqueeze(1)
    files = {"student": "prune", "student_int8": "quantize", "control": "control"}
    rows = []
    for name, stage in files.items():
        model = run.model(stage)
        report = export_onnx(model, folder / f"{name}.onnx", run.recipe.export, clips)
        kind = "int8" if name.endswith("int8") else "fp32"
        rows.append({"model": name, "kind": kind, **report.to_dict()})
        rows[-1]["agreement"] = _agreement(model, folder / f"{name}.onnx", test)
    static = folder / "student_int8_static.onnx"
    quantize_onnx(folder / "student.onnx", static, _calibration(run))
    rows.append(_static_row(run, static, clips, test))
    return {"files": rows}


def bench(run: Run, folder: Path) -> dict[str, Any]:
    """Latency of every exported file beside the control, interleaved in one run."""
    files = sorted(run.folder("export").glob("*.onnx"))
    report = measure(files, run.recipe.bench, progress=run.progress)
    return report.to_dict()


def _train(
    run: Run,
    choice: ModelChoice,
    train: TrainConfig,
    work: Path,
    title: str,
    member: int,
    distillation: Distillation | None = None,
) -> tuple[AudioClassifier, list[dict[str, float | int]]]:
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


def _distillation(run: Run) -> Distillation:
    members = run.result("teacher")["members"]
    teachers = [run.model("teacher", _member(index)) for index in range(members)]
    with leader_first():
        logits = teacher_logits(teachers, run.data, run.cache_dir, run.progress)
    return Distillation(config=run.recipe.student.distill, logits=logits)


def _member(index: int) -> str:
    return "model" if index == 0 else f"model-{index}"


def _keep(model: AudioClassifier, folder: Path) -> None:
    if leader():
        save(model, folder)


def _scores(run: Run, model: AudioClassifier) -> dict[str, Any]:
    if not leader():
        return {}
    arrays, labels = run.data.arrays, run.data.labels
    return {
        "val": evaluate(model, arrays["val"], labels, model.activation).to_dict(),
        "test": evaluate(model, arrays["test"], labels, model.activation).to_dict(),
    }


def _batches(run: Run, count: int = 8, size: int = 32) -> Iterable[tuple[Tensor, Tensor]]:
    """Training clips for importances, spread over the split by the recipe's seed."""
    arrays = run.data.arrays["train"]
    order = np.random.default_rng(run.recipe.seed).permutation(len(arrays.labels))
    for start in range(0, min(count * size, len(order)), size):
        rows = np.sort(order[start : start + size])
        features = torch.from_numpy(np.array(arrays.features[rows])).unsqueeze(1)
        yield features, torch.from_numpy(np.asarray(arrays.labels)[rows])


def _calibration(run: Run) -> np.ndarray:
    batches = list(_batches(run, count=CALIBRATION_CLIPS // 32))
    return np.concatenate([features.numpy() for features, _ in batches])


def _agreement(model: AudioClassifier, path: Path, features: np.ndarray) -> float:
    onnx_top = predict_logits(OnnxClassifier(path).logits, features).argmax(1)
    return float((onnx_top == predict_logits(model, features).argmax(1)).float().mean())


def _static_row(run: Run, path: Path, clips: Tensor, test: np.ndarray) -> dict[str, Any]:
    model = run.model("prune")
    runner = OnnxClassifier(path)
    with torch.inference_mode():
        gap = float((runner.logits(clips) - model(clips)).abs().max())
    scores = evaluate(runner.logits, run.data.arrays["test"], run.data.labels, model.activation)
    return {
        "model": "student_int8_static",
        "kind": "int8-static",
        **runner.describe(),
        "max_abs_diff": gap,
        "agreement": _agreement(model, path, test),
        "test_accuracy": scores.accuracy,
    }


def _teacher_settings(recipe: Recipe) -> Any:
    return _training_settings("teacher", recipe.seed, recipe.teacher, recipe.teacher.model)


def _training_settings(name: str, seed: int, settings: Any, choice: ModelChoice) -> dict[str, Any]:
    return {"seed": seed, name: _fields(settings), "init": start_key(choice.init)}


def _fields(value: Any) -> dict[str, Any]:
    return asdict(value)


STAGES = (
    Stage(
        name="data",
        needs=(),
        settings=lambda r: {"data": _fields(r.data), "frontend": _fields(r.frontend)},
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
        settings=lambda r: {"seed": r.seed, "prune": _fields(r.prune)},
        work=prune_student,
        trains=True,
    ),
    Stage(
        name="quantize",
        needs=("prune",),
        settings=lambda r: _fields(r.quantize),
        work=quantize_student,
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
        settings=lambda r: _fields(r.export),
        work=export,
    ),
    Stage(name="bench", needs=("export",), settings=lambda r: _fields(r.bench), work=bench),
)
