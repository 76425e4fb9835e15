"""Manifests that the user wrote: CSV, TSV or JSON, and AuM's own JSON."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aum_edge.core.text import few
from aum_edge.core.validation import share
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.manifest import SPLITS, Clip, Manifest, Split, make_manifest
from aum_edge.data.splits import split_by_groups
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
REQUIRED = ("path", "label")
OPTIONAL = ("split", "device", "start", "end", "clip_id", "group")
AUM_LABELS = "class_labels_indices.csv"
AUM_FIELDS = {"wav": "path", "labels": "label"}


@dataclass(frozen=True)
class _Line:
    """One row as text, and where it stands."""

    file: Path
    where: str
    values: dict[str, str]
    labels: tuple[str, ...]

    def get(self, name: str) -> str:
        return self.values.get(name, "").strip()


@register("manifest")
@dataclass(frozen=True, kw_only=True)
class ManifestConfig(CorpusConfig):
    """Rows of ``path, label`` and, if wanted, ``split, device, start, end, clip_id, group``.

    ``root`` is a .csv or .tsv file with a header, or a .json file: a list of objects, or AuM's
    ``{"data": [{"wav", "labels"}]}``. Several labels stand between ``label_separator`` (a comma
    in AuM's form) or in a JSON list. Paths count from the file's folder; ``start`` and ``end``
    are seconds. Further columns are allowed and named in the log.

    ``val_root`` and ``test_root`` are files of their own, as the AuM recipes use them; then every
    row of a file is of its split. Both may be one file: then it is validated and tested on.
    """

    val_root: str = ""
    """The file of the validation rows; without it they are split off ``root``. The file of
    ``test_root`` may be given again, as published recipes do: then the best epoch is chosen on
    test data, and the score is no fair one."""
    test_root: str = ""
    """The file of the test rows."""
    label_separator: str = ""
    """What stands between several labels of one row; AuM's JSON has a comma."""
    test_fraction: float = 0.2
    """Share of the groups of ``root`` held out for testing, by ``val_seed``, without any split."""

    def __post_init__(self) -> None:
        share("test_fraction", self.test_fraction)

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: A missing or broken file, a missing column, or a wrong value with its line.
        """
        files: dict[Split, str] = {"val": self.val_root, "test": self.test_root}
        given: dict[Split, str] = {split: file for split, file in files.items() if file}
        clips: list[Clip] = []
        split_later = not given.get("test")
        if source.root or not given:
            lines = _read(source.root, self.label_separator)
            clips = [_clip(line) for line in lines]
            split_later = split_later and not any(line.get("split") for line in lines)
            if given:
                _require_split(lines, "train")
        if split_later:
            clips = list(split_by_groups(clips, self.test_fraction, source.seed, "test"))
        for split, file in given.items():
            lines = _read(file, self.label_separator)
            _require_split(lines, split)
            clips += [replace(_clip(line), split=split) for line in lines]
        manifest = make_manifest("manifest", clips)
        same = bool(self.val_root) and _same_file(self.val_root, self.test_root)
        if same:
            log.warning(
                "Validation and test are the same file: what is selected on it is selected on test "
                "data. Leave `val_root` empty to carve validation from the training rows."
            )
        return replace(manifest, val_is_test=same)

    def label_file(self, root: str) -> Path | None:
        """AuM's label CSV where it lies beside AuM's JSON."""
        main = Path(root or self.test_root or self.val_root)
        if main.suffix.lower() != ".json":
            return None
        beside = main.parent / AUM_LABELS
        return beside if beside.is_file() and _is_aum(main) else None


def _is_aum(path: Path) -> bool:
    """Whether a JSON file holds an object, by its first character alone."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(64).lstrip().startswith("{")
    except (OSError, UnicodeDecodeError):
        return False


def _same_file(first: str, second: str) -> bool:
    return bool(first and second) and Path(first).resolve() == Path(second).resolve()


def _read(file: str, separator: str) -> list[_Line]:
    path = Path(file)
    if not file:
        raise DataError("Corpus `manifest` needs `root`: a .csv, .tsv or .json file.")
    if not path.is_file():
        raise DataError(f"There is no manifest {path}: a .csv, .tsv or .json file is needed.")
    is_json = path.suffix.lower() == ".json"
    lines = _read_json(path, separator) if is_json else _read_csv(path, separator)
    if not lines:
        raise DataError(f"{path} has no rows.")
    _check_columns(path, lines)
    return lines


def _require_split(lines: list[_Line], split: Split) -> None:
    """A file that stands for one split may not name another in its rows."""
    for line in lines:
        if line.get("split") not in ("", split):
            raise DataError(
                f"{line.where}: `split` is '{line.get('split')}' in the file given for {split}."
            )


def _read_csv(path: Path, separator: str) -> list[_Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            file.seek(0)
            reader = csv.DictReader(file, delimiter="\t" if "\t" in header else ",")
            lines = []
            for row in reader:
                where = f"{path} line {reader.line_num}"
                if None in row or None in row.values():
                    raise DataError(
                        f"{where}: the header has "
                        f"{len(reader.fieldnames or [])} columns, this line has another number."
                    )
                labels = _split_labels(row.get("label", ""), separator)
                lines.append(_Line(path, where, row, labels))
            return lines
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}.") from error


def _load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not JSON: {error}.") from error


def _read_json(path: Path, separator: str) -> list[_Line]:
    value = _load_json(path)
    aum = isinstance(value, dict) and "data" in value
    entries = value["data"] if aum else value
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DataError(f'{path} must hold a list of objects, or AuM\'s {{"data": [...]}}.')
    separator = separator or ("," if aum else "")
    lines = []
    for number, entry in enumerate(entries, start=1):
        fields = {AUM_FIELDS.get(key, key) if aum else key: item for key, item in entry.items()}
        label = fields.get("label")
        if isinstance(label, list):
            labels = tuple(str(item).strip() for item in label)
        else:
            labels = _split_labels("" if label is None else str(label), separator)
        values = {key: "" if item is None else str(item) for key, item in fields.items()}
        lines.append(_Line(path, f"{path} entry {number}", values, labels))
    return lines


def _split_labels(text: str, separator: str) -> tuple[str, ...]:
    parts = text.split(separator) if separator else [text]
    return tuple(part.strip() for part in parts)


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


def _clip(line: _Line) -> Clip:
    if not line.get("path"):
        raise DataError(f"{line.where}: `path` is empty.")
    if not line.labels or not all(line.labels):
        raise DataError(f"{line.where}: `label` is empty.")
    start, end = _second(line, "start"), _second(line, "end")
    if end is not None and end <= (start or 0.0):
        raise DataError(f"{line.where}: `end` {end:g} s is not after `start` {start or 0:g} s.")
    return Clip(
        path=line.file.parent / line.get("path"),
        label=line.labels[0],
        labels=tuple(dict.fromkeys(line.labels)),
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
