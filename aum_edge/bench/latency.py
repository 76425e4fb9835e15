"""Latency of models side by side: one clip, warm, in turns, as percentiles and as ratios."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aum_edge.bench.config import BenchConfig
from aum_edge.bench.contestant import Contestant, enter
from aum_edge.bench.host import host
from aum_edge.errors import RecipeError

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model's numbers. ``rtf`` is computing time over the clip's length (p50)."""

    model: str
    runtime: str
    threads: int
    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    load_ms: float
    rss_mb: float
    rtf: float
    sha256: str


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """All rows in the order asked for; ``ratios`` are p50 over the control's p50."""

    rows: tuple[Row, ...]
    control: str
    ratios: dict[str, float]
    host: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}


def measure(
    paths: Sequence[str | Path],
    config: BenchConfig | None = None,
    control: str | None = None,
    progress: Progress | None = None,
) -> BenchReport:
    """Time model directories and .onnx files on noise, one clip at a time.

    Args:
        paths: Models; the same one may not be given twice.
        config: Threads, runs, warm-up.
        control: Path or stem of the model that ratios are against; the first one by default.
        progress: Told (runs done, runs in all, model).

    Raises:
        RecipeError: If there is no model, one is given twice, or the control is not among them.
        CheckpointError: If a directory holds no usable model.
        ExportError: If a file is no ONNX classifier of ours.
    """
    config = config or BenchConfig()
    files = [Path(path) for path in paths]
    if not files or len(set(files)) < len(files):
        raise RecipeError(f"`bench` needs one model or more, each once, got {len(files)} paths.")
    names = [str(path) for path in files]
    chosen = _control(files, control)
    before = host()
    with _torch_threads(config.threads):
        entered = [enter(path, config.threads, config.seed) for path in files]
        times = _take_turns(entered, config, progress)
    rows = tuple(_row(one, taken, config) for one, taken in zip(entered, times, strict=True))
    unit = rows[names.index(chosen)].p50_ms
    ratios = {row.model: row.p50_ms / unit for row in rows}
    return BenchReport(rows=rows, control=chosen, ratios=ratios, host=before)


def _control(files: Sequence[Path], wanted: str | None) -> str:
    if wanted is None:
        return str(files[0])
    for path in files:
        if wanted in (str(path), path.stem):
            return str(path)
    raise RecipeError(
        f"The control {wanted!r} is not among the models {', '.join(map(str, files))}."
    )


def _take_turns(
    models: Sequence[Contestant], config: BenchConfig, progress: Progress | None
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


def _row(model: Contestant, taken: np.ndarray, config: BenchConfig) -> Row:
    p50, p90, p99 = (float(value) / 1e6 for value in np.percentile(taken, (50, 90, 99)))
    return Row(
        model=model.model,
        runtime=model.runtime,
        threads=config.threads,
        runs=len(taken),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        min_ms=float(taken.min()) / 1e6,
        load_ms=model.load_ms,
        rss_mb=model.rss_mb,
        rtf=p50 / 1e3 / model.clip_seconds,
        sha256=model.sha256,
    )


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Torch's own threads set for the block and put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
