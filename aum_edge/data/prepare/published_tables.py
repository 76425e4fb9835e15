"""Tables that corpora are published with, as manifests: AudioSet, VGGSound, VoxCeleb, EPIC."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aum_edge.core.files import write_text
from aum_edge.core.text import few
from aum_edge.data.corpora.files import audio_files
from aum_edge.errors import DataError

Kind = Literal["audioset", "vggsound", "voxceleb", "epic-sounds"]
VOXCELEB_SPLITS = {"1": "train", "2": "val", "3": "test"}
EPIC_COLUMNS = ("video_id", "start_timestamp", "stop_timestamp", "class")


@dataclass(frozen=True)
class _Row:
    """One line of a published table: the names its audio may have, likeliest first."""

    names: tuple[str, ...]
    fields: dict[str, Any]


def write_manifest(
    kind: Kind, table: Path, audio: Path, out: Path, *, allow_missing: bool = False
) -> tuple[int, int]:
    """Turn a published table into AuM's JSON, with absolute paths and our fields beside.

    * ``audioset``: ``YTID, start, end, "id,id"``; audio ``[Y]<YTID>[_<start>[_<end>]]`` in
      seconds or milliseconds. The labels are ids, so the recipe needs the label CSV.
    * ``vggsound``: ``id,start,label,train|test``; audio ``<id>[_<start>]``, as six digits or not.
    * ``voxceleb``: iden_split.txt, ``1|2|3 speaker/video/file.wav``; a video is one group.
    * ``epic-sounds``: annotations with start and stop times; audio ``<video_id>``.

    Returns:
        Rows written and rows of the table.

    Raises:
        DataError: A broken line, or rows without audio; nothing is written.
    """
    if not audio.is_dir():
        raise DataError(f"There is no folder {audio}: `--audio` is where the audio lies.")
    reader, depth = READERS[kind]
    try:
        rows = list(reader(table))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no table of {kind}: {error}.") from error
    files = {"/".join(f.with_suffix("").parts[-depth:]): f for f in audio_files(audio, deep=True)}
    found, missing = [], []
    for row in rows:
        path = next((files[name] for name in row.names if name in files), None)
        if path is None:
            missing.append(row.names[0])
        else:
            found.append({"wav": str(path.resolve()), **row.fields})
    if not found or (missing and not allow_missing):
        hint = "check `--audio`" if not found else "`--allow-missing` leaves them out"
        raise DataError(
            f"{len(missing)} of {len(rows)} rows of {table} have no audio in {audio}: "
            f"{few(missing)}. Nothing was written; {hint}."
        )
    write_text(out, json.dumps({"data": found}, indent=1, ensure_ascii=False) + "\n")
    return len(found), len(rows)


def _lines(table: Path, columns: int) -> Iterator[list[str]]:
    """Lines of a CSV without a header, comments left out."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for line in reader:
            if not line or line[0].startswith("#"):
                continue
            if len(line) != columns:
                raise DataError(
                    f"{table} line {reader.line_num} has {len(line)} columns instead of {columns}."
                )
            yield line


def _audioset(table: Path) -> Iterator[_Row]:
    for video, start, end, labels in _lines(table, 4):
        first, last = _number(table, start), _number(table, end)
        times = (f"{first:g}", f"{first * 1000:g}", f"{first:.3f}", f"{first:06.0f}")
        ends = (f"{last:g}", f"{last * 1000:g}", f"{last:.3f}", f"{last:06.0f}")
        spans = [f"{a}_{b}" for a, b in zip(times, ends, strict=True)]
        yield _Row(_video_names(video, (*spans, *times)), {"labels": labels})


def _vggsound(table: Path) -> Iterator[_Row]:
    for video, start, label, split in _lines(table, 4):
        if split not in ("train", "test"):
            raise DataError(f"{table}: the split of {video} must be train or test, got '{split}'.")
        first = _number(table, start)
        names = _video_names(video, (f"{first:06.0f}", f"{first:g}", f"{first * 1000:g}"))
        yield _Row(names, {"labels": [label], "split": split, "group": video})


def _video_names(video: str, times: tuple[str, ...]) -> tuple[str, ...]:
    ids = (video, f"Y{video}")
    return (*(f"{name}_{time}" for time in times for name in ids), *ids)


def _voxceleb(table: Path) -> Iterator[_Row]:
    for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1):
        split, _, name = line.strip().partition(" ")
        parts = name.strip().split("/")
        if split not in VOXCELEB_SPLITS or len(parts) != 3:
            raise DataError(f"{table} line {number} must read `1|2|3 speaker/video/file.wav`.")
        fields = {
            "labels": parts[0],
            "split": VOXCELEB_SPLITS[split],
            "group": f"{parts[0]}/{parts[1]}",
        }
        yield _Row((name.strip().rpartition(".")[0],), fields)


def _epic_sounds(table: Path) -> Iterator[_Row]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in EPIC_COLUMNS if name not in (reader.fieldnames or [])]
        if lacking:
            raise DataError(f"{table} lacks the columns {', '.join(lacking)}.")
        for line in reader:
            start = _clock(table, line["start_timestamp"])
            fields = {
                "labels": [line["class"]],
                "start": start,
                "end": _clock(table, line["stop_timestamp"]),
                "group": line["video_id"],
                "clip_id": line.get("annotation_id") or f"{line['video_id']}@{start:g}",
            }
            yield _Row((line["video_id"],), fields)


def _number(table: Path, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{table}: '{text}' is no number of seconds.") from error


def _clock(table: Path, text: str) -> float:
    """``hh:mm:ss.sss`` in seconds."""
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + _number(table, part)
    return round(seconds, 6)


READERS: dict[Kind, tuple[Callable[[Path], Iterator[_Row]], int]] = {
    "audioset": (_audioset, 1),
    "vggsound": (_vggsound, 1),
    "voxceleb": (_voxceleb, 3),
    "epic-sounds": (_epic_sounds, 1),
}
"""How each is read, and how many trailing parts of a path name its audio."""
