"""Runs the stages of a recipe: each in its folder, skipped when done, resumed when killed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from aum_edge import __version__
from aum_edge.core.distributed import (
    barrier,
    broadcast,
    is_rank_zero,
    join_processes,
    rank_zero_first,
)
from aum_edge.core.files import disk_errors, holds_files, read_json, write_json, write_text
from aum_edge.core.locks import hold_lock, holder_of
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import AumEdgeError, RecipeError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.pipeline.recipe import Recipe, plain

log = logging.getLogger(__name__)
CLAIM = ("run.lock", "recipe.yaml.tmp")
"""What a run that was killed while it took its folder left there, by this version or earlier."""
PACKAGES = ("torch", "lightning", "onnx", "onnxruntime", "torch-pruning", "numpy")


@dataclass
class Run:
    """One recipe in its output folder, and what the stages share."""

    recipe: Recipe
    out: Path
    cache_dir: Path
    progress: Progress | None = None
    view: AudioData | None = None
    """A view of the corpus to work on; None is all of it."""

    @cached_property
    def data(self) -> AudioData:
        """The corpus with its features cached and its splits made."""
        if self.view is not None:
            return self.view
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
    for name in (start, until):
        if name is not None and name not in names:
            raise RecipeError(f"There is no stage `{name}`; the stages are {', '.join(names)}.")
    join_processes()
    with _claimed(run) if is_rank_zero() else contextlib.nullcontext():
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


@contextlib.contextmanager
def _claimed(run: Run) -> Iterator[None]:
    """Hold the output folder for this recipe and this process through a block.

    Raises:
        RecipeError: The folder belongs to another recipe or to something else.
        AumEdgeError: Another run works in it.
        DiskError: It cannot be written to.
    """
    _require_own(run)
    lock = run.out / "run.lock"
    with contextlib.ExitStack() as stack:
        with disk_errors(run.out, "run.lock"):
            held = stack.enter_context(hold_lock(lock, wait=False))
        if not held:
            holder = holder_of(lock)
            raise AumEdgeError(
                f"{holder[0].upper()}{holder[1:]} works in {run.out}: wait for it, or give "
                "another --out."
            )
        # Another run may have begun in the folder, and ended, since the first look.
        _require_own(run)
        write_text(run.out / "recipe.yaml", yaml.safe_dump(run.recipe.resolved(), sort_keys=False))
        yield


def _require_own(run: Run) -> None:
    """Refuse a folder of another recipe or of other files; drafts of ours are none."""
    name_file = run.out / "recipe.yaml"
    if name_file.exists():
        found = _recipe_name(name_file)
        if found != run.recipe.name:
            raise RecipeError(
                f"{run.out} belongs to the recipe `{found}`, this one is `{run.recipe.name}`: "
                "give another --out."
            )
    elif run.out.exists() and holds_files(run.out, besides=CLAIM):
        raise RecipeError(f"{run.out} holds other files and no recipe.yaml: give another --out.")


def _recipe_name(name_file: Path) -> Any:
    """The recipe that a folder belongs to.

    Raises:
        RecipeError: If its recipe.yaml is damaged.
    """
    try:
        held = yaml.safe_load(name_file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        held = None
    if not isinstance(held, dict):
        raise RecipeError(f"{name_file} is damaged: give another --out, or remove that file.")
    return held.get("name")


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
