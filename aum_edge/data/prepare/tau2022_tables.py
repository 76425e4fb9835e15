"""The challenge corpus's tables with every flaw counted instead of refused."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aum_edge.data.corpora.tau2022 import META, SPLIT_FOLDERS, SUBSETS, recording
from aum_edge.data.corpora.tsv import read_tsv

SCENES = (
    "airport", "bus", "metro", "metro_station", "park",
    "public_square", "shopping_mall", "street_pedestrian", "street_traffic", "tram",
)  # fmt: skip
DEVICES = ("a", "b", "c", "s1", "s2", "s3", "s4", "s5", "s6")
"""Of the development set; d and s7 to s10 are in evaluation sets alone."""
CLIPS = 230_350
SPLIT_ROWS = {
    "split5": 6_980,
    "split10": 13_960,
    "split25": 34_900,
    "split50": 69_800,
    "test": 29_680,
}
"""As published, counted in the published files; split100 has what the baseline's file lists."""
SHOWN = 5


@dataclass
class Problem:
    """One kind of flaw: how often, and the first few by name."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(name)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"count": self.count, "first": self.first}


Problems = dict[str, Problem]


def note(problems: Problems, kind: str, name: str) -> None:
    """Count a flaw of a kind."""
    problems.setdefault(kind, Problem()).add(name)


@dataclass(frozen=True, kw_only=True)
class Tables:
    """meta.csv, the split files that are there, and the audio folder's listing."""

    rows: tuple[dict[str, str], ...]
    """Of meta.csv: the first of every name, whatever else is wrong with it."""
    splits: dict[str, tuple[str, ...]]
    """Filenames by split file."""
    problems: Problems
    bad_rows: dict[str, str]
    """Names that cannot be used, with the reason."""

    def by(self, column: str) -> dict[str, int]:
        """Rows by the values of a column; ``city`` is the identifier's first part."""
        values = (
            row["identifier"].split("-")[0] if column == "city" else row[column]
            for row in self.rows
        )
        return dict(sorted(Counter(values).items()))


def read_tables(root: Path) -> Tables:
    """Read and hold against each other what the corpus's tables and folders say.

    Counted: rows with too few columns, rows given twice, unknown scenes and devices, labels that
    contradict the file's name, files that are missing, files that no table names, split rows that
    meta.csv lacks or labels otherwise.

    Raises:
        DataError: If meta.csv is missing or lacks a column.
    """
    problems: Problems = {}
    bad: dict[str, str] = {}
    rows = _meta(root, problems, bad)
    _files(root, rows, problems, bad)
    splits = _splits(root, {row["filename"]: row for row in rows}, problems)
    return Tables(rows=tuple(rows), splits=splits, problems=problems, bad_rows=bad)


def _meta(root: Path, problems: Problems, bad: dict[str, str]) -> list[dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for line, row in _lines(root / "meta.csv", META):
        name = row.get("filename") or ""
        if any(not row.get(column) for column in META):
            note(problems, "incomplete row", f"meta.csv line {line}")
            continue
        if name in rows:
            note(problems, "duplicated row", f"{name} (meta.csv line {line})")
            if any(row[column] != rows[name][column] for column in META):
                bad[name] = "two rows that differ"
            continue
        rows[name] = {column: row[column] for column in META}
        if row["scene_label"] not in SCENES:
            note(problems, "unknown label", f"{row['scene_label']} ({name})")
            bad[name] = f"unknown label {row['scene_label']}"
        if row["source_label"] not in DEVICES:
            note(problems, "unknown device", f"{row['source_label']} ({name})")
            bad[name] = f"unknown device {row['source_label']}"
        if not Path(name).name.startswith(f"{row['scene_label']}-"):
            note(problems, "label against name", f"{name} says {row['scene_label']}")
    return list(rows.values())


def _files(root: Path, rows: list[dict[str, str]], problems: Problems, bad: dict[str, str]) -> None:
    """One listing of each folder instead of a question for each of 230,350 files."""
    there: dict[str, set[str]] = {}
    for row in rows:
        folder, _, name = row["filename"].rpartition("/")
        if folder not in there:
            place = root / folder
            there[folder] = {entry.name for entry in os.scandir(place)} if place.is_dir() else set()
        if name not in there[folder]:
            note(problems, "missing file", row["filename"])
            bad[row["filename"]] = "missing file"
    named = {row["filename"] for row in rows}
    for folder in sorted({"audio", *there}):
        listed = there.get(folder)
        place = root / folder
        if listed is None:
            listed = {e.name for e in os.scandir(place)} if place.is_dir() else set()
        for name in sorted(listed):
            path = f"{folder}/{name}" if folder else name
            if name.endswith(".wav") and not name.startswith(".") and path not in named:
                note(problems, "file not in meta.csv", path)


def _splits(
    root: Path, meta: dict[str, dict[str, str]], problems: Problems
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for split in (*SUBSETS, "test"):
        path = split_path(root, split)
        if path is None:
            continue
        names: dict[str, None] = {}
        for line, row in _lines(path, ("filename", "scene_label")):
            name = row.get("filename") or ""
            if name in names:
                note(problems, "duplicated split row", f"{name} ({path.name} line {line})")
            elif name not in meta:
                note(problems, "split row not in meta.csv", f"{name} ({path.name} line {line})")
            elif row.get("scene_label") != meta[name]["scene_label"]:
                stated = f"{name} is {row.get('scene_label')} in {path.name}"
                note(problems, "split label against meta.csv", stated)
            names[name] = None
        found[split] = tuple(names)
        if len(meta) == CLIPS and len(names) != SPLIT_ROWS.get(split, len(names)):
            stated = f"{path.name}: {len(names):,} rows, published are {SPLIT_ROWS[split]:,}"
            note(problems, "split of another size", stated)
    tested = {recording(name) for name in found.get("test", ())}
    for split in SUBSETS:
        # Another second, or another device, of a tested recording is the same sound.
        for name in sorted(n for n in found.get(split, ()) if recording(n) in tested):
            note(problems, "trained and tested on", f"{name} ({split} and test)")
    return found


def read_evaluation(root: Path) -> dict[str, Any]:
    """Clips of an evaluation set by device, and the flaws of its list.

    The list is ``evaluation_setup/fold1_test.csv``: ``filename``, and from 2025 on ``device_id``,
    which may be ``unknown``.

    Raises:
        DataError: If the list is missing or lacks its column.
    """
    problems: Problems = {}
    names: dict[str, str] = {}
    for line, row in _lines(root / "evaluation_setup" / "fold1_test.csv", ("filename",)):
        name = (row["filename"] or "").strip()
        if not name:
            note(problems, "incomplete row", f"fold1_test.csv line {line}")
        elif name in names:
            note(problems, "duplicated row", f"{name} (fold1_test.csv line {line})")
        else:
            names[name] = (row.get("device_id") or "not told").strip()
    there = {f"audio/{entry.name}" for entry in os.scandir(root / "audio")}
    for name in names:
        if name not in there:
            note(problems, "missing file", name)
    for name in sorted(there - set(names)):
        note(problems, "file not in fold1_test.csv", name)
    return {
        "clips": len(names),
        "devices": dict(sorted(Counter(names.values()).items())),
        "problems": {kind: found.to_dict() for kind, found in sorted(problems.items())},
        "fit": not problems,
    }


def split_path(root: Path, name: str) -> Path | None:
    """Where a split file lies; None where it is not there."""
    paths = (root / folder / f"{name}.csv" for folder in SPLIT_FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def _lines(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    return read_tsv(path, columns, "unpack the corpus's meta archive there")
