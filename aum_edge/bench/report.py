"""One model's numbers, and the document of a bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aum_edge.bench.entry import LoadedEntry


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
    """All rows in the order asked for.

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

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}


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
