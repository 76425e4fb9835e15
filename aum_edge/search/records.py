"""Records of trials, a JSON file each: the report needs no storage."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aum_edge.core.files import read_json, write_json
from aum_edge.search.space.dimensions import Params

RECORD = "record.json"
FINISHED = ("complete", "pruned", "failed")
"""States that count as a trial done; ``rejected`` and ``repeat`` cost no training."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One trial, as plain JSON values."""

    number: int
    state: str
    """complete, pruned, failed, rejected (over a limit or no model) or repeat."""
    key: str
    """Of the recipe and the data it belongs to."""
    params: Params
    objectives: dict[str, float] = field(default_factory=dict)
    """Of a complete trial: each objective by name."""
    cost: dict[str, Any] = field(default_factory=dict)
    latency: dict[str, Any] = field(default_factory=dict)
    val: dict[str, Any] = field(default_factory=dict)
    """Validation scores of the int8 model."""
    val_float: dict[str, Any] = field(default_factory=dict)
    """The same before quantization."""
    curve: list[float] = field(default_factory=list)
    """Best validation macro accuracy up to each epoch."""
    best_epoch: int = 0
    seconds: float = 0.0
    host: str = ""
    pid: int = 0
    """The process that ran it, on that host."""
    finished: str = ""
    reason: str = ""
    """Why it was rejected, pruned or failed; which trial it repeats."""
    model: str = ""
    """Folder of the float model, beside it the int8 one, below the trial's own."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def trial_folder(out: Path, number: int) -> Path:
    """Where a trial keeps its record and models."""
    return out / "trials" / str(number)


def write_record(out: Path, record: Record) -> None:
    """Keep a record; a kill leaves it whole or not there."""
    write_json(trial_folder(out, record.number) / RECORD, record.to_dict())


def read_records(out: Path) -> list[Record]:
    """Every whole record of a folder, by number; damaged files are left out."""
    found = []
    for path in (out / "trials").glob(f"*/{RECORD}"):
        made = as_record(read_json(path))
        if made is not None:
            found.append(made)
    return sorted(found, key=lambda record: record.number)


def as_record(values: dict[str, Any]) -> Record | None:
    """A record from JSON values; None if they are none."""
    names = {f.name for f in fields(Record)}
    if not {"number", "state", "key", "params"} <= values.keys():
        return None
    return Record(**{name: value for name, value in values.items() if name in names})
