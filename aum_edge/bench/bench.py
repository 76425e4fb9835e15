"""Latency of models, exported files and presets side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.bench.config import BenchConfig, BenchPlan
from aum_edge.bench.latency import measure
from aum_edge.bench.report import BenchReport
from aum_edge.core.progress import Progress
from aum_edge.errors import AumEdgeError
from aum_edge.export.registry import export, export_targets
from aum_edge.export.target import ExportedFile
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import PRESETS, preset
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import save
from aum_edge.runtimes.registry import ending_of, usual_runtime
from aum_edge.runtimes.runtime import DIRECTORY

Timed = AudioClassifier | ExportedFile | str | Path
"""A classifier, the path of a directory or of an exported file, or the name of a preset."""
CLASSES = 10
"""Of presets that are timed alone, on a clip of the default front end."""


def bench(
    models: Timed | Sequence[Timed],
    config: BenchConfig | None = None,
    *,
    plan: BenchPlan | None = None,
    control: str | None = None,
    progress: Progress | None = None,
) -> BenchReport:
    """Time models on noise, one clip at a time, interleaved.

    Args:
        models: Classifiers, model or run directories, exported files, and names of presets. A
            preset such as ``cp-mobile`` is a network with fresh weights for the input and classes
            of the first model that is none, in the form of that one where it has it.
        config: Threads, runs, warm-up.
        plan: Several runtimes and numbers of threads, and how failures are met; by default memory
            and loading are measured in a process of its own for each model.
        control: Path, name or stem of the model that ratios are against; by default the first
            preset, or else the first model.
        progress: Called with (done, in all, what).

    Raises:
        RecipeError: If there is no model, one is given twice, or the control is not among them.
        CheckpointError: If a directory holds no usable model.
        ExportError: If a file is no classifier of ours.
        BenchError: If nothing is left to time.
    """
    given = [models] if isinstance(models, Timed) else list(models)
    plan = plan or BenchPlan(fresh=True)
    with tempfile.TemporaryDirectory(prefix="aum-edge-bench-") as folder:
        names: dict[str, str] = {}
        paths = []
        for index, model in enumerate(given):
            path = _as_path(model, given, plan, Path(folder) / str(index))
            paths.append(path)
            if path.is_relative_to(folder):
                names[str(path)] = _name(model, index)
        if control is None:
            control = next(
                (str(p) for p, m in zip(paths, given, strict=True) if _is_preset(m)), None
            )
        control = next((path for path, name in names.items() if name == control), control)
        return _named(measure(paths, config, control, progress, plan), names)


def _is_preset(model: Timed) -> bool:
    return isinstance(model, str) and model in PRESETS and not Path(model).exists()


def _as_path(model: Timed, given: Sequence[Timed], plan: BenchPlan, folder: Path) -> Path:
    """The directory or file to be timed; classifiers and presets are written below ``folder``."""
    if _is_preset(model):
        return _preset_path(str(model), given, plan, folder)
    if isinstance(model, AudioClassifier):
        save(model, folder / "model")
        return folder / "model"
    return Path(model)


def _preset_path(name: str, given: Sequence[Timed], plan: BenchPlan, folder: Path) -> Path:
    """A preset with fresh weights for the same input, as a file where the first model is one."""
    like = next((model for model in given if not _is_preset(model)), None)
    network = _fresh(name, like)
    ending = (
        DIRECTORY if like is None or isinstance(like, AudioClassifier) else ending_of(Path(like))
    )
    if ending not in export_targets() or plan.runtimes:
        save(network, folder / name)
        return folder / name
    try:
        return export(network, folder / f"{name}{ending}").path
    except AumEdgeError:
        return export(network, folder / f"{name}.onnx").path


def _fresh(name: str, like: Timed | None) -> AudioClassifier:
    """The preset for the features and the number of classes of another model."""
    frontend, labels = FrontEndConfig(), tuple(f"class {i}" for i in range(CLASSES))
    if isinstance(like, AudioClassifier):
        frontend, labels = like.frontend, like.labels
    elif like is not None and (opened := usual_runtime(Path(like)).classifier) is not None:
        found = opened(Path(like))
        frontend, labels = found.frontend, found.labels
    config = preset(name, n_classes=len(labels), n_mels=frontend.n_mels, n_frames=frontend.n_frames)
    return AudioClassifier(
        build(config), frontend=frontend, normalization=Normalization(), labels=labels
    ).eval()


def _name(model: Timed, index: int) -> str:
    """Name in the report of a model without a path."""
    return str(model) if isinstance(model, str) else f"model {index + 1}"


def _named(report: BenchReport, names: dict[str, str]) -> BenchReport:
    """The report with names instead of temporary paths."""

    def named(text: str) -> str:
        for path, name in names.items():
            text = text.replace(path, name)
        return text

    return replace(
        report,
        rows=tuple(replace(row, model=named(row.model)) for row in report.rows),
        control=named(report.control),
        ratios={named(model): ratio for model, ratio in report.ratios.items()},
        skipped=tuple({key: named(text) for key, text in row.items()} for row in report.skipped),
        failed=tuple({key: named(text) for key, text in row.items()} for row in report.failed),
    )
