"""A model to be timed in a runtime: a model directory or an exported file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aum_edge.bench.footprint import footprint
from aum_edge.errors import ExportError
from aum_edge.export.registry import export, export_targets
from aum_edge.models.storage.directory import model_directory
from aum_edge.runtimes.registry import ending_of, endings, runtimes_for
from aum_edge.runtimes.runtime import DIRECTORY


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model as its user named it, a runtime, and the file or directory that is opened."""

    model: str
    runtime: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class LoadedEntry:
    """A loaded model, what it took to load it, and a call that classifies its example."""

    model: str
    runtime: str
    threads: int
    run: Callable[[], Any]
    clip_seconds: float = 1.0
    input: str = "features"
    sha256: str = ""
    bytes: int = 0
    load_ms: float = 0.0
    rss_mb: float = 0.0
    process_mb: float = 0.0


def entry_of(path: Path, runtime: str | None, folder: Path) -> Entry | None:
    """What is opened for a model in a runtime; None if it has no form for it.

    A directory is exported into ``folder`` for the runtimes of files, once for all that run the
    same file. A file runs only in the runtimes that take its ending.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If nothing is there, or the model cannot be exported.
    """
    if not path.exists():
        raise ExportError(
            f"There is no model {path}: give a model directory, {_kinds_of_files()} file "
            "or the name of a preset such as cp-mobile."
        )
    forms = _forms(path)
    if not forms:
        raise ExportError(
            f"{path} is no file that a runtime takes: give a model directory, "
            f"{_kinds_of_files()} file."
        )
    runtime = runtime or next(iter(forms))
    if runtime not in forms:
        return None
    ending = forms[runtime]
    if ending == ending_of(path):
        return Entry(model=str(path), runtime=runtime, path=path)
    name = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    file = folder / f"{path.resolve().name}-{name}{ending}"
    if not file.exists():
        export(path, file)
    return Entry(model=str(path), runtime=runtime, path=file)


def _forms(path: Path) -> dict[str, str]:
    """Runtimes that a model has a form for, its usual one first, with the ending of that form."""
    own = ending_of(path)
    forms = {runtime.name: own for runtime in runtimes_for(own)}
    if own == DIRECTORY:
        for ending in export_targets():
            for runtime in runtimes_for(ending):
                forms.setdefault(runtime.name, ending)
    return forms


def _kinds_of_files() -> str:
    """The endings that some runtime takes, in words."""
    *others, last = (("an " if e[1] in "aeio" else "a ") + e for e in endings())
    return f"{', '.join(others)} or {last}" if others else last


def load_entry(entry: Entry, threads: int, batch: int, seed: int) -> LoadedEntry:
    """Load a model and run it once.

    Args:
        entry: What to load.
        threads: Of its runtime.
        batch: Clips at once.
        seed: Of the noise it classifies.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If the file is no classifier of ours.
        BenchError: If its runtime refuses it.
    """
    torch.set_num_threads(threads)
    cost, opened = footprint(entry.path, entry.runtime, threads, batch, seed)
    data = _timed_file(entry.path).read_bytes()
    return LoadedEntry(
        model=entry.model,
        runtime=entry.runtime,
        threads=threads,
        run=opened.run,
        clip_seconds=opened.clip_seconds,
        input=opened.input,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        load_ms=cost.load_ms,
        rss_mb=cost.rss_mb,
        process_mb=cost.process_mb,
    )


def _timed_file(path: Path) -> Path:
    return path if path.is_file() else model_directory(path) / "model.safetensors"
