"""Re-rooting of manifests: paths made on another machine to files of this one."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from aum_edge.core.files import write_text
from aum_edge.core.text import few
from aum_edge.errors import DataError

PATH_FIELDS = ("path", "wav")
Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rerooted:
    """What became of a manifest's rows."""

    rows: int
    found: int
    by_name: int = 0
    """Rows found by their file name alone: their folders have changed."""
    missing: tuple[str, ...] = ()
    """Paths with no file, or with several that fit equally."""


def reroot(
    manifest: Path, out: Path, to: Path, old: str = "", *, allow_missing: bool = False
) -> Rerooted:
    """Write ``manifest`` again as ``out`` with absolute paths below ``to``; all else is kept.

    With ``old`` that beginning of each path becomes ``to``. Without it, the part of each path
    below the folder that all rows share is looked for anywhere below ``to``; where no such file
    is there, the file name alone, if only one row and only one file have it.

    Args:
        manifest: .json (a list, or AuM's ``{"data": [...]}``), .csv or .tsv.
        out: File to write, in one step; may be ``manifest`` itself. Of the same kind.
        to: Folder that holds the audio here.
        old: Folder that the paths begin with; empty finds it.
        allow_missing: Leave out rows without a file instead of refusing.

    Raises:
        DataError: A broken manifest, no such folder, or rows without a file; nothing is written.
    """
    if not to.is_dir():
        raise DataError(f"There is no folder {to}: `--to` is where the audio lies here.")
    if out.suffix.lower() != manifest.suffix.lower():
        raise DataError(f"{out} must end in {manifest.suffix}, as {manifest} does.")
    table = _read(manifest)
    paths = [row[table.field] for row in table.rows]
    here = to.resolve()
    if old:
        found, by_name = _with_prefix(paths, old, here), 0
    else:
        found, by_name = _by_ending(paths, here)
    missing = tuple(path for path in paths if path not in found)
    if len(missing) == len(paths) or (missing and not allow_missing):
        hint = "check `--from` and `--to`" if not found else "`--allow-missing` leaves them out"
        raise DataError(
            f"{len(missing)} of {len(paths)} files of {manifest} are not below {to}, or are there "
            f"more than once: {few(missing)}. Nothing was written; {hint}."
        )
    kept = [
        {**row, table.field: str(found[row[table.field]])}
        for row in table.rows
        if row[table.field] in found
    ]
    write_text(out, _text(replace(table, rows=kept)))
    return Rerooted(rows=len(paths), found=len(kept), by_name=by_name, missing=missing)


@dataclass(frozen=True)
class _Table:
    """A manifest's rows, the field that holds the path, and what is needed to write it again."""

    rows: list[dict[str, Any]]
    field: str
    whole: Any = None
    """The JSON value around the rows; None for a CSV."""
    delimiter: str = ","


def _read(path: Path) -> _Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            whole = json.loads(text)
            rows: Any = whole.get("data") if isinstance(whole, dict) else whole
            table = _Table(rows, "", whole)
        else:
            delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
            rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))
            table = _Table(rows, "", None, delimiter)
    except OSError as error:
        raise DataError(f"Manifest {path} cannot be read ({error.strerror}).") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} is no manifest: {error}.") from error
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} must hold a list of objects, AuM's data, or CSV lines.")
    for name in PATH_FIELDS:
        if all(isinstance(row.get(name), str) and row[name] for row in rows):
            return replace(table, field=name)
    raise DataError(f"Every row of {path} must have a `path` or `wav`; some have none.")


def _text(table: _Table) -> str:
    if table.whole is None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(
            text, list(table.rows[0]), delimiter=table.delimiter, lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(table.rows)
        return text.getvalue()
    whole = {**table.whole, "data": table.rows} if isinstance(table.whole, dict) else table.rows
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _parts(path: str) -> Parts:
    """Components, of a Windows path too."""
    windows = "\\" in path or (len(path) > 1 and path[1] == ":")
    return (PureWindowsPath(path) if windows else PurePosixPath(path)).parts


def _with_prefix(paths: list[str], old: str, to: Path) -> dict[str, Path]:
    start = _parts(old)
    found = {}
    for path in paths:
        parts = _parts(path)
        place = to.joinpath(*parts[len(start) :])
        if parts[: len(start)] == start and place.is_file():
            found[path] = place
    return found


def _by_ending(paths: list[str], to: Path) -> tuple[dict[str, Path], int]:
    """The file of each path, and how many were found by their name alone."""
    parts = {path: _parts(path) for path in paths}
    shared = _shared([each[:-1] for each in parts.values()])
    names = Counter(each[-1] for each in parts.values())
    below = _files_by_name(to, names.keys())
    found: dict[str, Path] = {}
    by_name = 0
    for path, each in parts.items():
        candidates = below.get(each[-1], [])
        ending = each[shared:]
        fitting = [file for file in candidates if file[-len(ending) :] == ending]
        if not fitting and len(candidates) == 1 and names[each[-1]] == 1:
            fitting = candidates
            by_name += 1
        if len(fitting) == 1:
            found[path] = to.joinpath(*fitting[0])
    return found, by_name


def _shared(folders: list[Parts]) -> int:
    """How many leading components all have; the first and last in order have no more."""
    first, last = min(folders), max(folders)
    same = [a == b for a, b in zip(first, last, strict=False)]
    return same.index(False) if False in same else len(same)


def _files_by_name(to: Path, wanted: Iterable[str]) -> dict[str, list[Parts]]:
    names = set(wanted)
    files: dict[str, list[Parts]] = {}
    for folder, _, inside in os.walk(to):
        for name in names.intersection(inside):
            files.setdefault(name, []).append((Path(folder) / name).relative_to(to).parts)
    return files
