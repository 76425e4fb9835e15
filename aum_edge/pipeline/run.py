"""Recipe to stages: each in its folder, skipped when done, resumed when killed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import yaml

from aum_edge import __version__
from aum_edge.core.distributed import (
    barrier,
    broadcast,
    is_rank_zero,
    join_processes,
    rank_zero_first,
)
from aum_edge.core.files import read_json, write_json
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import AumEdgeError, RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import load
from aum_edge.pipeline.recipe import Recipe, plain

log = logging.getLogger(__name__)
PACKAGES = ("torch", "lightning", "onnx", "onnxruntime", "torch-pruning", "numpy")


@dataclass
class Run:
    """One recipe in its output folder, and what the stages share."""

    recipe: Recipe
    out: Path
    cache_dir: Path
    progress: Progress | None = None

    @cached_property
    def data(self) -> AudioData:
        """The corpus with its features cached and its splits made."""
        data = AudioData(
            self.recipe.data,
            self.recipe.frontend,
            batch_size=self.recipe.student.train.batch_size,
            seed=self.recipe.seed,
            cache_dir=self.cache_dir,
            progress=self.progress,
        )
        data.prepare_data()
        data.setup("fit")
        return data

    def folder(self, stage: str) -> Path:
        """Where a stage keeps what it made."""
        return self.out / stage

    def model(self, stage: str, name: str = "model") -> AudioClassifier:
        """The model that a finished stage left."""
        return load(self.folder(stage) / name)

    def result(self, stage: str) -> dict[str, Any]:
        """What a finished stage returned."""
        return dict(read_json(self.folder(stage) / "stage.json")["result"])


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step: the recipe values and the earlier stages that its result depends on."""

    name: str
    needs: tuple[str, ...]
    settings: Callable[[Recipe], Any]
    work: Callable[[Run, Path], dict[str, Any]]
    version: int = 1
    """Raised when the step's meaning changes, so that old results are made anew."""
    trains: bool = False
    """Whether every process of a run takes part; the other stages are the first one's alone."""
    check: Callable[[Run], None] | None = None
    """Called before any stage runs: refuses data that this one could do nothing with."""
    job: str = "run"
    """The command that it is a stage of: run, or pretrain."""


def run_stages(
    run: Run, stages: tuple[Stage, ...], start: str | None = None, until: str | None = None
) -> list[dict[str, Any]]:
    """Run what is missing, in order, and return ``{name, seconds, resumed}`` of each stage.

    A stage whose recipe values, data and inputs are unchanged is skipped. One that was killed goes
    on from its last finished epoch. ``start`` redoes that stage and what depends on it; ``until``
    runs that stage and what it needs alone.

    Raises:
        RecipeError: The folder belongs to another recipe, or a stage name is unknown.
        AumEdgeError: Another run works in the folder.
    """
    names = [stage.name for stage in stages]
    for asked in (start, until):
        if asked is not None and asked not in names:
            raise RecipeError(f"There is no stage `{asked}`; the stages are {', '.join(names)}.")
    join_processes()
    if is_rank_zero():
        _claim(run)
    try:
        wanted = _needed_for(until, stages) if until else stages
        _open_data(run, wanted)
        if start and is_rank_zero():
            _forget(run, stages, start)
        barrier()
        hashes: dict[str, str] = {}
        done = []
        for stage in wanted:
            hashes[stage.name] = _stage_hash(run, stage, hashes)
            done.append(_one_stage(run, stage, hashes[stage.name]))
        return done
    finally:
        if is_rank_zero():
            (run.out / "run.lock").unlink(missing_ok=True)


def _needed_for(name: str, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """A stage and all that it needs, directly or not, in order."""
    by_name = {stage.name: stage for stage in stages}
    found, waiting = set(), [name]
    while waiting:
        found.add(here := waiting.pop())
        waiting += set(by_name[here].needs) - found
    return tuple(stage for stage in stages if stage.name in found)


def _open_data(run: Run, wanted: tuple[Stage, ...]) -> None:
    """Compute the features, in the first process alone, and let every stage look at the data."""
    with rank_zero_first():
        _ = run.data
    for stage in wanted:
        if stage.check:
            stage.check(run)


def _one_stage(run: Run, stage: Stage, wanted: str) -> dict[str, Any]:
    folder = run.folder(stage.name)
    record = folder / "stage.json"
    if broadcast(record.exists() and read_json(record).get("hash") == wanted):
        log.info("%s: done before, kept", stage.name)
        seconds = read_json(record)["seconds"]
        return {"name": stage.name, "seconds": seconds, "resumed": True}
    if not is_rank_zero():
        return _follow(run, stage, folder)
    started = folder / "started.json"
    if folder.exists() and not (started.exists() and read_json(started).get("hash") == wanted):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    before = read_json(started).get("seconds", 0.0) if started.exists() else 0.0
    write_json(started, {"hash": wanted, "seconds": before})
    log.info("%s: started", stage.name)
    barrier()
    clock = time.monotonic()
    try:
        result = stage.work(run, folder)
    finally:
        seconds = round(before + time.monotonic() - clock, 1)
        if folder.exists():
            write_json(started, {"hash": wanted, "seconds": seconds})
    write_json(record, _record(run, stage, wanted, seconds, result))
    barrier()
    log.info("%s: done in %.0f s", stage.name, seconds)
    return {"name": stage.name, "seconds": seconds, "resumed": False}


def _follow(run: Run, stage: Stage, folder: Path) -> dict[str, Any]:
    """Take part in the first process's stage, and write nothing."""
    barrier()
    if stage.trains:
        stage.work(run, folder)
    barrier()
    return {"name": stage.name, "seconds": 0.0, "resumed": False}


def _record(
    run: Run, stage: Stage, wanted: str, seconds: float, result: dict[str, Any]
) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "hash": wanted,
        "seconds": seconds,
        "seed": run.recipe.seed,
        "settings": plain(stage.settings(run.recipe)),
        "environment": environment(),
        "result": result,
    }


def _stage_hash(run: Run, stage: Stage, hashes: dict[str, str]) -> str:
    inputs = {
        "stage": stage.name,
        "version": stage.version,
        "settings": plain(stage.settings(run.recipe)),
        "needs": [hashes[name] for name in stage.needs],
        "data": run.data.fingerprint if not stage.needs else None,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _forget(run: Run, stages: tuple[Stage, ...], start: str) -> None:
    """Take away what ``start`` and the stages that depend on it made."""
    stale = {start}
    for stage in stages:
        if stage.name in stale or stale & set(stage.needs):
            stale.add(stage.name)
            if run.folder(stage.name).exists():
                shutil.rmtree(run.folder(stage.name))


def _claim(run: Run) -> None:
    """Take the output folder for this recipe and this process."""
    name_file = run.out / "recipe.yaml"
    if name_file.exists():
        owner = (yaml.safe_load(name_file.read_text(encoding="utf-8")) or {}).get("name")
        if owner != run.recipe.name:
            raise RecipeError(
                f"{run.out} belongs to the recipe `{owner}`, this one is `{run.recipe.name}`: "
                "give another --out."
            )
    elif run.out.exists() and any(run.out.iterdir()):
        raise RecipeError(f"{run.out} holds other files and no recipe.yaml: give another --out.")
    run.out.mkdir(parents=True, exist_ok=True)
    lock = run.out / "run.lock"
    if lock.exists():
        text = lock.read_text().strip()
        if text.isdigit() and int(text) != os.getpid() and psutil.pid_exists(int(text)):
            raise AumEdgeError(
                f"Process {text} works in {run.out}: wait for it, or give another --out."
            )
    lock.write_text(f"{os.getpid()}\n")
    write_text(name_file, yaml.safe_dump(run.recipe.resolved(), sort_keys=False))


def environment() -> dict[str, Any]:
    """Versions and platform, as every stage records them."""
    found: dict[str, Any] = {"aum_edge": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    found["platform"] = platform.platform()
    found["time"] = datetime.now(UTC).isoformat(timespec="seconds")
    return found


def write_text(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, never half of it."""
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
