"""A model to be timed in a runtime: a model directory, an .onnx file or an exported .c file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from aum_edge.bench.footprint import footprint
from aum_edge.errors import ExportError
from aum_edge.export.c.export import export_c
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import load


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

    A directory is exported into ``folder`` for onnxruntime and OpenVINO, once for both, and for c.
    An .onnx file runs in those two only, a .c file in c only.

    Raises:
        CheckpointError: If the directory holds no usable model.
        ExportError: If nothing is there, or the model cannot be exported.
    """
    if not path.exists():
        raise ExportError(
            f"There is no model {path}: give a model directory, an .onnx or a .c file."
        )
    possible = _runtimes_of(path)
    runtime = runtime or possible[0]
    if runtime not in possible:
        return None
    if path.is_file() or runtime == "torch":
        return Entry(model=str(path), runtime=runtime, path=path)
    name = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    file = folder / f"{path.resolve().name}-{name}.{'c' if runtime == 'c' else 'onnx'}"
    if not file.exists():
        write = export_c if runtime == "c" else export_onnx
        write(load(path), file)
    return Entry(model=str(path), runtime=runtime, path=file)


def _runtimes_of(path: Path) -> tuple[str, ...]:
    """Those that a model has a form for, its usual one first."""
    if not path.is_file():
        return ("torch", "onnxruntime", "openvino", "c")
    return ("c",) if path.suffix == ".c" else ("onnxruntime", "openvino")


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
    return path if path.is_file() else path / "model.safetensors"
