"""Challenge rules on training data, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aum_edge.core.files import read_json
from aum_edge.core.text import few
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.tau2022 import recording
from aum_edge.data.manifest import Manifest
from aum_edge.errors import RecipeError
from aum_edge.models.storage.directory import CONFIG
from aum_edge.pipeline.recipe import ModelChoice, Recipe
from aum_edge.pipeline.run import Run
from aum_edge.training.config import TrainConfig

CHALLENGE = "tau2022"
SUBSETS = {
    "dcase2022": ("split100",),
    "dcase2023": ("split100",),
    "dcase2024": ("split5", "split10", "split25", "split50", "split100"),
    "dcase2025": ("split25",),
}
"""Training subsets that each year allows. 2022 and 2023 trained on all of it, 2024 ranked over
five subsets, 2025 gave a quarter (baseline repositories of the challenge)."""


def check_rules(run: Run) -> None:
    """Refuse a challenge run that could not be submitted: subset, test clips, outside data.

    Only the challenge's corpus under a challenge's limits is looked at; any other run is free.

    Raises:
        RecipeError: If a subset is not allowed that year, a test recording is trained or validated
            on, or weights, teachers or impulse responses come from outside and are not declared.
    """
    recipe = run.recipe
    if recipe.data.corpus != CHALLENGE or recipe.limits not in SUBSETS:
        return
    allowed = SUBSETS[recipe.limits]
    subset = data_name(recipe.data).partition(" ")[2]
    if subset not in allowed:
        raise RecipeError(
            f"{recipe.limits} allows training on {', '.join(allowed)}, got `data.tau2022.subset: "
            f"{subset}`: change it, or give other `limits` for a run outside the "
            "challenge."
        )
    check_separate(run.data.manifest)
    _check_starts(recipe, allowed)
    if not recipe.external_data:
        outside = list(outside_sources(recipe))
        if outside:
            raise RecipeError(
                f"Data from outside the challenge is used and not declared: {few(outside)}. Name "
                "it under `external_data` (name, url, licence, total_audio_length, used_for): the "
                "submission has to."
            )


def _check_starts(recipe: Recipe, allowed: tuple[str, ...]) -> None:
    """Refuse starts and teachers that were trained on more of the corpus than allowed.

    Declaring outside data allows other corpora, not the rest of this one.

    Raises:
        RecipeError: If the lineage of a model names a subset that the year does not allow.
    """
    for name, folder in _starts(recipe):
        for step in _lineage(Path(folder)) if folder else []:
            corpus, _, subset = str(step.get("data") or "").partition(" ")
            if corpus == CHALLENGE and subset not in allowed:
                raise RecipeError(
                    f"`{name}` {folder} was trained on {corpus} {subset}; {recipe.limits} allows "
                    f"{', '.join(allowed)}: take another start."
                )


def check_separate(manifest: Manifest) -> None:
    """No recording of the test split may train a model or choose an epoch of it.

    Raises:
        RecipeError: If a 10-s recording, of any device, lies on both sides.
    """
    tested = {recording(clip.clip_id) for clip in manifest.split("test")}
    learned = [clip for clip in manifest.clips if clip.split != "test"]
    both = sorted({recording(clip.clip_id) for clip in learned} & tested)
    if both:
        raise RecipeError(
            f"{len(both)} recordings of the test split are trained or validated on: {few(both)}. "
            "Take the published split files."
        )


def outside_sources(recipe: Recipe) -> Iterator[str]:
    """Settings of a recipe that bring in something from outside its corpus."""
    trained_on = data_name(recipe.data)
    for name, folder in _starts(recipe):
        if folder and not _home_made(Path(folder), trained_on):
            yield f"`{name}` {folder}"
    for name, train in _trainings(recipe):
        if train.augment.ir_p > 0 and train.augment.ir_dir:
            yield f"`{name}.augment.ir_dir` {train.augment.ir_dir}"


def data_name(data: DataConfig) -> str:
    """What lineages call the data that a model is trained on."""
    return data.corpus_config.title


def _starts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    choices: dict[str, ModelChoice] = {
        "teacher.model": recipe.teacher.model,
        "student.model": recipe.student.model,
        "control.model": recipe.control.model,
        **{f"teacher.also[{i}].model": kind.model for i, kind in enumerate(recipe.teacher.also)},
    }
    for name, choice in choices.items():
        yield f"{name}.init", choice.init
    for path in recipe.teacher.checkpoints:
        yield "teacher.checkpoints", path


def _trainings(recipe: Recipe) -> Iterator[tuple[str, TrainConfig]]:
    yield "teacher.train", recipe.teacher.train
    yield "student.train", recipe.student.train
    yield "prune.recover", recipe.prune.recover
    yield "devices.train", recipe.devices.train
    yield "control.train", recipe.control.train
    for i, kind in enumerate(recipe.teacher.also):
        if kind.train:
            yield f"teacher.also[{i}].train", kind.train


def _lineage(folder: Path) -> list[dict[str, Any]]:
    """Steps of a model directory, oldest first; none where it has none."""
    return list(read_json(folder / CONFIG).get("lineage") or [])


def _home_made(folder: Path, trained_on: str) -> bool:
    """Whether a model directory was trained here, on the very same data from the first step on."""
    steps = _lineage(folder)
    trained = [step for step in steps if "seed" in step and "data" in step]
    first = bool(steps) and "data" in steps[0]
    return first and all(
        step["data"] == trained_on and not step.get("external_data") for step in trained
    )
