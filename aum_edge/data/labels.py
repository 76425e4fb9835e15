"""AuM's label CSV: which id is which output of the network, and what it is called."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from aum_edge.core.text import few
from aum_edge.data.manifest import Clip, Manifest
from aum_edge.errors import DataError

HEADER = ("index", "mid", "display_name")


@dataclass(frozen=True)
class LabelTable:
    """The classes of a corpus in the order of the network's outputs."""

    path: Path
    ids: tuple[str, ...]
    names: tuple[str, ...]
    """What each class is called: its display name, with the id where two share a name."""

    def name_of(self) -> dict[str, str]:
        """Ids and display names to names; an id wins where it equals another's name."""
        return {name: name for name in self.names} | dict(zip(self.ids, self.names, strict=True))


def read_label_table(path: Path) -> LabelTable:
    """Read ``index,mid,display_name``; lines may come in any order, the index counts.

    Raises:
        DataError: A missing file or column, an id that is empty or given twice, indices that are
            not 0 to n - 1.
    """
    rows = _rows(path)
    for number, row in rows:
        if not row["mid"]:
            raise DataError(
                f"Label file {path} line {number}: `mid` is empty; every class has one."
            )
        if not row["index"].isdecimal():
            raise DataError(
                f"Label file {path} line {number}: `index` must be a number from 0 on, got "
                f"'{row['index']}'."
            )
    twice = [name for name, n in Counter(row["mid"] for _, row in rows).items() if n > 1]
    if twice:
        raise DataError(
            f"Label file {path} gives {len(twice)} ids more than once: {few(twice)}. "
            "Keep each id once."
        )
    _check_indices(path, [int(row["index"]) for _, row in rows])
    ordered = sorted((row for _, row in rows), key=lambda row: int(row["index"]))
    return LabelTable(path, tuple(row["mid"] for row in ordered), _names(ordered))


def apply_label_table(manifest: Manifest, table: LabelTable) -> Manifest:
    """The manifest with every label by its name and all classes of the table as its labels.

    Rows may hold ids or display names. Classes that no row has stay: they are outputs.

    Raises:
        DataError: If rows have labels that the table lacks.
    """
    names = table.name_of()
    lacking = Counter(
        label for clip in manifest.clips for label in clip.labels if label not in names
    )
    if lacking:
        rows = sum(any(label in lacking for label in clip.labels) for clip in manifest.clips)
        raise DataError(
            f"{rows} of {len(manifest.clips)} rows of corpus `{manifest.name}` have "
            f"{len(lacking)} labels that {table.path} lacks: {few(sorted(lacking))}. It has "
            f"{len(table.ids)}, such as {table.ids[0]} ({table.names[0]}): add them to it or take "
            "the rows out."
        )
    clips = tuple(_renamed(clip, names) for clip in manifest.clips)
    return replace(manifest, clips=clips, labels=table.names, fixed_labels=True)


def with_model_labels(manifest: Manifest, labels: tuple[str, ...]) -> Manifest:
    """The manifest with a model's classes, in the order of the model's outputs.

    Raises:
        DataError: If rows have labels that the model does not know.
    """
    known = set(labels)
    unknown = sorted({x for clip in manifest.clips for x in clip.labels if x not in known})
    if unknown:
        raise DataError(
            f"Corpus `{manifest.name}` has {len(unknown)} labels that the model does not know: "
            f"{few(unknown)}. It knows {len(labels)}, such as {few(labels)}; `--labels CSV` turns "
            "ids into names."
        )
    return replace(manifest, labels=labels, fixed_labels=True)


def _renamed(clip: Clip, names: dict[str, str]) -> Clip:
    labels = tuple(dict.fromkeys(names[label] for label in clip.labels))
    return replace(clip, label=labels[0], labels=labels)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Lines by their number, with every value stripped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
        header = [name.strip() for name in reader.fieldnames or []]
        if any(name not in header for name in HEADER):
            got = ",".join(header)[:80]
            raise DataError(
                f"Label file {path} must start with the header {','.join(HEADER)}; got '{got}'."
            )
        reader.fieldnames = header
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"Label file {path} line {reader.line_num}: the header has {len(header)} "
                    'columns, this line has another number; put names with commas in "quotes".'
                )
            rows.append((reader.line_num, {key: value.strip() for key, value in row.items()}))
    except OSError as error:
        raise DataError(f"Label file {path} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Label file {path} is not a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise DataError(f"Label file {path} has no classes.")
    return rows


def _check_indices(path: Path, indices: list[int]) -> None:
    counts = Counter(indices)
    twice = [str(index) for index, n in sorted(counts.items()) if n > 1]
    lacking = [str(index) for index in range(len(indices)) if index not in counts]
    if twice or lacking:
        stated = f"twice or more: {few(twice)}; " if twice else ""
        raise DataError(
            f"Label file {path} needs the indices 0 to {len(indices) - 1}, each once, for its "
            f"{len(indices)} classes; {stated}missing: {few(lacking)}."
        )


def _names(rows: list[dict[str, str]]) -> tuple[str, ...]:
    plain = [row["display_name"] or row["mid"] for row in rows]
    counts = Counter(plain)
    return tuple(
        name if counts[name] == 1 else f"{name} ({row['mid']})"
        for name, row in zip(plain, rows, strict=True)
    )
