"""A manifest that the user wrote: CSV, TSV or JSON, and AuM's own JSON."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aum_edge.data.carve import carve
from aum_edge.data.config import DataConfig
from aum_edge.data.manifest import SPLITS, Clip, Manifest, Split, make_manifest
from aum_edge.data.validate import few
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
REQUIRED = ("path", "label")
OPTIONAL = ("split", "device", "start", "end", "clip_id", "group")
AUM_LABELS = "class_labels_indices.csv"


@dataclass(frozen=True)
class _Line:
    """One row as text, and where it stands."""

    where: str
    values: dict[str, str]

    def get(self, name: str) -> str:
        return self.values.get(name, "").strip()


def load_table(config: DataConfig) -> Manifest:
    """Rows of ``path, label`` and, if wanted, ``split, device, start, end, clip_id, group``.

    ``root`` is a .csv or .tsv file with a header, or a .json file: a list of objects, or AuM's
    ``{"data": [{"wav", "labels"}]}``, whose label codes become names when
    ``class_labels_indices.csv`` lies beside it. Paths count from the file's folder; ``start`` and
    ``end`` are seconds. Without any ``split``, ``test_fraction`` of the groups is held out.
    Further columns are allowed and named in the log.

    Raises:
        DataError: A missing or broken file, a missing column, or a wrong value with its line.
    """
    if not config.root or not Path(config.root).is_file():
        raise DataError(
            f"Corpus `manifest` needs `root`: a .csv, .tsv or .json file; got '{config.root}'."
        )
    path = Path(config.root)
    lines = _read_json(path) if path.suffix.lower() == ".json" else _read_csv(path)
    if not lines:
        raise DataError(f"{path} has no rows.")
    _check_columns(path, lines)
    clips: tuple[Clip, ...] = tuple(_clip(path.parent, line) for line in lines)
    if not any(line.get("split") for line in lines):
        clips = carve(clips, config.test_fraction, config.val_seed, "test")
    return make_manifest("manifest", clips)


def _read_csv(path: Path) -> list[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter="\t" if "\t" in header else ",")
            lines = []
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path} line {reader.line_num}: the header has "
                        f"{len(reader.fieldnames or [])} columns, this line has another number."
                    )
                lines.append(_Line(f"{path} line {reader.line_num}", row))
            return lines
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}.") from error


def _read_json(path: Path) -> list[_Line]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}.") from error
    aum = isinstance(value, dict) and "data" in value
    entries = value["data"] if aum else value
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f'{path} must hold a list of objects, or AuM\'s {{"data": [...]}}.')
    names = _aum_names(path.parent / AUM_LABELS) if aum else {}
    lines = []
    for number, entry in enumerate(entries, start=1):
        where = f"{path} entry {number}"
        values = {key: "" if item is None else str(item) for key, item in entry.items()}
        lines.append(_Line(where, _from_aum(where, values, names) if aum else values))
    return lines


def _from_aum(where: str, values: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    code = values.pop("labels", "")
    if "," in code:
        raise DataError(f"{where}: has several labels ({code}); one label a clip is supported.")
    return {"path": values.pop("wav", ""), "label": names.get(code, code), **values}


def _aum_names(table: Path) -> dict[str, str]:
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"mid", "display_name"} <= rows[0].keys():
        raise DataError(f"{table} needs the columns index, mid, display_name.")
    return {row["mid"]: row["display_name"] for row in rows}


def _check_columns(path: Path, lines: list[_Line]) -> None:
    columns: dict[str, Any] = dict.fromkeys(key for line in lines for key in line.values)
    lacking = [name for name in REQUIRED if name not in columns]
    if lacking:
        raise DataError(
            f"{path} lacks the column {' and '.join(lacking)}; it has {', '.join(columns)}. "
            f"Needed: {', '.join(REQUIRED)}; optional: {', '.join(OPTIONAL)}."
        )
    unused = [name for name in columns if name not in REQUIRED + OPTIONAL]
    if unused:
        log.info("Columns of %s that are not used: %s", path, few(unused, 10))


def _clip(folder: Path, line: _Line) -> Clip:
    for name in REQUIRED:
        if not line.get(name):
            raise DataError(f"{line.where}: `{name}` is empty.")
    start, end = _second(line, "start"), _second(line, "end")
    if end is not None and end <= (start or 0.0):
        raise DataError(f"{line.where}: `end` {end:g} s is not after `start` {start or 0:g} s.")
    return Clip(
        path=folder / line.get("path"),
        label=line.get("label"),
        split=_split(line),
        device=line.get("device"),
        start=start,
        end=end,
        clip_id=line.get("clip_id") or _default_id(line, start, end),
        group=line.get("group") or line.get("path"),
    )


def _default_id(line: _Line, start: float | None, end: float | None) -> str:
    """A row with times of its own is a clip of its own unless it says otherwise."""
    span = "" if start is None and end is None else f"@{line.get('start')}-{line.get('end')}"
    return line.get("path") + span


def _split(line: _Line) -> Split:
    text = line.get("split")
    for split in SPLITS:
        if text == split:
            return split
    if text:
        raise DataError(f"{line.where}: `split` must be train, val or test; got '{text}'.")
    return "train"


def _second(line: _Line, name: str) -> float | None:
    text = line.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise DataError(f"{line.where}: `{name}` must be seconds from 0 on, got '{text}'.")
    return value
