"""Comparison of latencies with earlier ones of the same host."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from aum_edge.errors import BenchError

SAME = ("cpu", "machine", "cores", "logical_cores", "cpu_flags")
"""What makes a host another one."""
NAMED = ("onnxruntime", "torch", "openvino", "aum_edge", "python", "os", "governor")
"""What may differ and is named."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A row now and then; ``other_file`` if the bytes timed are not the same."""

    model: str
    runtime: str
    threads: int
    batch: int
    now_ms: float
    then_ms: float
    now_ratio: float | None
    then_ratio: float | None
    other_file: bool

    @property
    def times(self) -> float:
        """Now over then."""
        return self.now_ms / self.then_ms


def read_earlier(path: Path) -> dict[str, Any]:
    """A document that ``bench --save`` or ``--json`` wrote.

    Raises:
        BenchError: If the file is missing or something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        rows = values["rows"]
        usable = bool(values["host"]["cpu"]) and all(
            _key(row) and row["p50_ms"] > 0 for row in rows
        )
    except OSError as error:
        raise BenchError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise BenchError(f"{path} is no bench of aum-edge: make one with `bench --save`.")
    return dict(values)


def check_same_host(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """Refuse another machine's numbers; versions that differ are returned as lines.

    Raises:
        BenchError: If processor, cores, machine or vector instructions differ.
    """
    other = [key for key in SAME if key in then and now.get(key) != then[key]]
    if other:
        differences = "; ".join(_difference(key, then[key], now.get(key)) for key in other)
        raise BenchError(
            f"These numbers are of another host and cannot be compared: {differences}. "
            "Compare ratios to a control instead, or time both on one machine."
        )
    return [
        f"{key} was {then[key]}, is {now.get(key)}"
        for key in NAMED
        if key in then and now.get(key) != then[key]
    ]


def changes(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[Change]:
    """Rows of both, matched by the model's path, or by its file name, runtime, threads and batch.

    A name that several rows have, in other folders, says nothing about which one is meant.
    """
    earlier, exact = _one_each(then["rows"], _key), _one_each(then["rows"], _exact)
    alone = _one_each(now["rows"], _key)
    ratios = then.get("ratios") or {}
    found = []
    for row in now["rows"]:
        old = exact.get(_exact(row))
        if old is None and _key(row) in alone:
            old = earlier.get(_key(row))
        if old is None:
            continue
        name, runtime, threads, batch = _key(row)
        found.append(
            Change(
                model=name,
                runtime=runtime,
                threads=threads,
                batch=batch,
                now_ms=row["p50_ms"],
                then_ms=old["p50_ms"],
                now_ratio=row.get("ratio"),
                then_ratio=old.get("ratio", ratios.get(old["model"])),
                other_file=row.get("sha256") != old.get("sha256"),
            )
        )
    return found


def _key(row: Mapping[str, Any]) -> tuple[str, str, int, int]:
    name = PureWindowsPath(row["model"]).name
    return name, row["runtime"], int(row["threads"]), int(row.get("batch", 1))


def _exact(row: Mapping[str, Any]) -> tuple[str, str, int, int]:
    return str(row["model"]), *_key(row)[1:]


def _one_each(rows: Sequence[Mapping[str, Any]], key: Callable[[Any], Any]) -> dict[Any, Any]:
    """Rows by a key, without those that share theirs."""
    times = Counter(map(key, rows))
    return {key(row): row for row in rows if times[key(row)] == 1}


def _difference(key: str, then: Any, now: Any) -> str:
    if key != "cpu_flags" or not isinstance(then, Sequence) or not isinstance(now, Sequence):
        return f"{key.replace('_', ' ')} {then} then, {now} now"
    gone, new = sorted(set(then) - set(now)), sorted(set(now) - set(then))
    return f"instructions {' '.join(gone) or 'none'} gone, {' '.join(new) or 'none'} new"
