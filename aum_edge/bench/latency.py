"""Latency of models side by side: warm, interleaved, as percentiles and ratios."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from aum_edge.bench.config import BenchConfig, BenchPlan
from aum_edge.bench.entry import Entry, LoadedEntry, entry_of, load_entry
from aum_edge.bench.footprint import Footprint, fresh_footprint
from aum_edge.bench.host import busy, host
from aum_edge.bench.report import BenchReport, BenchRow, control_rows, row_of
from aum_edge.core.progress import Progress
from aum_edge.errors import AumEdgeError, BenchError, RecipeError

Failures = list[tuple[str, AumEdgeError]]


def measure(
    paths: Sequence[str | Path],
    config: BenchConfig | None = None,
    control: str | None = None,
    progress: Progress | None = None,
    plan: BenchPlan | None = None,
) -> BenchReport:
    """Time model directories and .onnx files on noise.

    Args:
        paths: Models; the same one may not be given twice.
        config: Threads, runs, warm-up.
        control: Path, name or stem of the model that ratios are against; the first one by default.
        progress: Called with (done, in all, what).
        plan: Several runtimes and numbers of threads, and how failures are met.

    Raises:
        RecipeError: If there is no model, one is given twice, or the control is not among them.
        CheckpointError: If a directory holds no usable model.
        ExportError: If a file is no ONNX classifier of ours.
        BenchError: If nothing is left to time. With ``plan.tolerant`` these only when no model is
            left, and the report names the others.
    """
    config, plan = config or BenchConfig(), plan or BenchPlan()
    files = [Path(path) for path in paths]
    if not files or len(set(files)) < len(files):
        raise RecipeError(f"`bench` needs one model or more, each once, got {len(files)} paths.")
    chosen = _control(files, control)
    before = host()
    failures: Failures = []
    rows: list[BenchRow] = []
    known: dict[Entry, Footprint] = {}
    with tempfile.TemporaryDirectory() as folder, _torch_threads_kept():
        entries, skipped = _entries(files, plan, Path(folder), failures)
        for threads in plan.threads or (config.threads,):
            models = _loaded(
                entries, (replace(config, threads=threads), plan), known, failures, progress
            )
            times = _interleaved_times(models, config, progress)
            rows += [row_of(m, t, plan.batch) for m, t in zip(models, times, strict=True)]
    if not rows:
        raise failures[0][1] if failures else BenchError(skipped[0]["reason"])
    rows, chosen = _with_ratios(rows, chosen)
    ratios: dict[str, float] = {}
    for row in rows:
        ratios.setdefault(row.model, row.ratio or 0.0)
    return BenchReport(
        rows=tuple(rows),
        control=chosen,
        ratios=ratios,
        host=before,
        warnings=tuple(filter(None, [busy(before)])),
        skipped=tuple(skipped),
        failed=tuple({"model": m, "reason": str(error)} for m, error in failures),
        warmup=config.warmup,
    )


def _control(files: Sequence[Path], wanted: str | None) -> str:
    if wanted is None:
        return str(files[0])
    for path in files:
        if path == Path(wanted) or wanted in (path.name, path.stem):
            return str(path)
    raise RecipeError(
        f"The control {wanted!r} is not among the models {', '.join(map(str, files))}."
    )


def _entries(
    files: Sequence[Path], plan: BenchPlan, folder: Path, failures: Failures
) -> tuple[list[Entry], list[dict[str, str]]]:
    """Every model in every runtime it has a form for, and a line for each it has none for."""
    entries, skipped = [], []
    for path in files:
        for runtime in plan.runtimes or (None,):
            try:
                entry = entry_of(path, runtime, folder)
            except AumEdgeError as error:
                if not plan.tolerant:
                    raise
                there = runtime is not None and path.exists()
                failures.append((f"{path} in {runtime}" if there else str(path), error))
                if there:
                    continue
                break
            if entry is not None:
                entries.append(entry)
                continue
            reason = f"{path} is a file that cannot run in {runtime}: give its directory."
            skipped.append({"model": str(path), "reason": reason})
    return entries, skipped


def _loaded(
    entries: Sequence[Entry],
    settings: tuple[BenchConfig, BenchPlan],
    known: dict[Entry, Footprint],
    failures: Failures,
    progress: Progress | None,
) -> list[LoadedEntry]:
    """All that load; a fresh process is started once for a model, whatever the threads."""
    config, plan = settings
    found = []
    gone = {name for name, _ in failures}
    for done, entry in enumerate(entries):
        label = f"{entry.model} in {entry.runtime}"
        if label in gone or entry.model in gone:
            continue
        try:
            # Loaded here first: a broken file says what is wrong with it.
            model = load_entry(entry, config.threads, plan.batch, config.seed)
            if plan.fresh:
                if entry not in known:
                    if progress:
                        progress(done, len(entries), f"loading {Path(entry.model).name}")
                    known[entry] = fresh_footprint(
                        entry.path, entry.runtime, config.threads, plan.batch
                    )
                model = replace(model, **asdict(known[entry]))
            found.append(model)
        except AumEdgeError as error:
            if not plan.tolerant:
                raise
            failures.append((label, error))
    return found


def _interleaved_times(
    models: Sequence[LoadedEntry], config: BenchConfig, progress: Progress | None
) -> list[np.ndarray]:
    """Nanoseconds of every timed run; each round starts with another model."""
    for model in models:
        for _ in range(config.warmup):
            model.run()
    times: list[list[int]] = [[] for _ in models]
    total, turn = config.runs * len(models), 0
    while sum(map(len, times)) < total:
        for offset in range(len(models)):
            index = (turn + offset) % len(models)
            for _ in range(min(config.block, config.runs - len(times[index]))):
                started = time.perf_counter_ns()
                models[index].run()
                times[index].append(time.perf_counter_ns() - started)
            if progress:
                progress(sum(map(len, times)), total, f"timing {Path(models[index].model).name}")
        turn += 1
    return [np.array(taken) for taken in times]


def _with_ratios(rows: Sequence[BenchRow], control: str) -> tuple[list[BenchRow], str]:
    """Each row over the control's at as many threads; the first model is it where it failed."""
    base = control_rows(rows, control)
    if not base:
        control = rows[0].model
        base = control_rows(rows, control)
    found = []
    for row in rows:
        under = base.get(row.threads)
        found.append(replace(row, ratio=row.p50_ms / under.p50_ms if under else None))
    return found, control


@contextlib.contextmanager
def _torch_threads_kept() -> Iterator[None]:
    """Torch's own threads put back afterwards."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
