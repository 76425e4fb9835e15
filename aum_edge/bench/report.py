"""Latency rows and the report of a bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aum_edge.bench.entry import LoadedEntry
from aum_edge.bench.host import host_line

NAME_WIDTH = 48
"""Characters of a model's name in the table."""


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """One model in one runtime at one number of threads.

    ``rtf`` is computing time over the clips' length (p50). ``spread`` is the distance between the
    quartiles over the median. ``ratio`` is to the control at as many threads. ``input`` is
    features or waveform.
    """

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
    batch: int = 1
    p25_ms: float = 0.0
    p75_ms: float = 0.0
    spread: float = 0.0
    bytes: int = 0
    process_mb: float = 0.0
    input: str = "features"
    ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """All rows in the order of the models.

    ``ratios`` are the rows' by model, those of the first runtime and number of threads where a
    model has several. ``skipped`` and ``failed`` are ``{model, reason}``.
    """

    rows: tuple[BenchRow, ...]
    control: str
    ratios: dict[str, float]
    host: dict[str, Any]
    warnings: tuple[str, ...] = ()
    skipped: tuple[dict[str, str], ...] = ()
    failed: tuple[dict[str, str], ...] = ()
    warmup: int = 0
    """Runs of each model before those that are timed."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    def __str__(self) -> str:
        """A table, what its columns mean, and the machine."""
        width = min(NAME_WIDTH, max(len(name) for name in ("model", *(r.model for r in self.rows))))
        head = (
            f"{'model':<{width}} {'runtime':<11} {'thr':>3} {'p50 ms':>8} {'p90':>8} {'p99':>8} "
            f"{'min':>8} {'+-%':>4} {'load ms':>8} {'MB':>6} {'rtf':>8} {'ratio':>5}  sha256"
        )
        batch = self.rows[0].batch
        clips = "one clip" if batch == 1 else f"{batch} clips"
        lines = [
            head,
            *(_line(row, width) for row in self.rows),
            f"{clips} a run, {self.rows[0].runs} runs after {self.warmup}, in turns; ratio to "
            f"{self.control} at as many threads. +-%: half the distance of the quartiles. "
            "MB: what loading and one run added to a fresh process.",
        ]
        inside = [row.model for row in self.rows if row.input == "waveform"]
        if inside:
            lines.append(f"Front end included: {', '.join(dict.fromkeys(inside))}")
        return "\n".join([*lines, host_line(self.host)])


def _line(row: BenchRow, width: int) -> str:
    """One row of the table; a long name keeps its end, a missing ratio is a dash."""
    name = row.model if len(row.model) <= width else "…" + row.model[1 - width :]
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
    return (
        f"{name:<{width}} {row.runtime:<11} {row.threads:>3} {row.p50_ms:>8.3f} "
        f"{row.p90_ms:>8.3f} {row.p99_ms:>8.3f} {row.min_ms:>8.3f} {50 * row.spread:>4.0f} "
        f"{row.load_ms:>8.1f} {row.rss_mb:>6.1f} {row.rtf:>8.5f} {ratio:>5}  {row.sha256[:8]}"
    )


def row_of(model: LoadedEntry, taken: np.ndarray, batch: int) -> BenchRow:
    """Percentiles of nanoseconds; the ratio comes later."""
    low, p50, high, p90, p99 = (
        float(value) / 1e6 for value in np.percentile(taken, (25, 50, 75, 90, 99))
    )
    return BenchRow(
        model=model.model,
        runtime=model.runtime,
        threads=model.threads,
        runs=len(taken),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        min_ms=float(taken.min()) / 1e6,
        load_ms=model.load_ms,
        rss_mb=model.rss_mb,
        rtf=p50 / 1e3 / (model.clip_seconds * batch),
        sha256=model.sha256,
        batch=batch,
        p25_ms=low,
        p75_ms=high,
        spread=(high - low) / p50 if p50 else 0.0,
        bytes=model.bytes,
        process_mb=model.process_mb,
        input=model.input,
    )


def control_rows(rows: Sequence[BenchRow], control: str) -> dict[int, BenchRow]:
    """The control's row at each number of threads, in the runtime it was entered in first."""
    found: dict[int, BenchRow] = {}
    for row in rows:
        if row.model == control:
            found.setdefault(row.threads, row)
    return found
