"""The challenge corpus made ready: downloaded or given, unpacked, checked, counted, cleaned."""

from __future__ import annotations

import csv
import io
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aum_edge.core.files import require_space, write_json, write_text
from aum_edge.core.progress import Progress
from aum_edge.data.corpora.tau2022 import CLEANED, EXCLUDED, META, SUBSETS
from aum_edge.data.prepare.download import RetryPolicy, fetch, list_record, read_text
from aum_edge.data.prepare.integrity import check_files
from aum_edge.data.prepare.tau2022_tables import (
    Problems,
    Tables,
    read_evaluation,
    read_tables,
    split_path,
)
from aum_edge.data.prepare.unpack import unpack_all
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
SITE = "https://zenodo.org/api/records"
"""Where the record's listing is asked for; the one place that names it."""
SPLIT_SITE = "https://github.com/CPJKU/dcase2024_task1_baseline/releases/download/files"
"""Where the challenge's baseline publishes the split files; the one place that names it."""
ARCHIVES = "archives"
SUMMARY = "integrity.json"
HARMLESS = ("silent", "clipped", "file not in meta.csv", "split of another size")
"""Flaws that are told and do not keep a corpus from being trained on."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A record and the folder that its archives hold."""

    record: str
    top: str
    splits: bool


CORPORA = {
    "tau2022": Corpus(
        record="6337421", top="TAU-urban-acoustic-scenes-2022-mobile-development", splits=True
    ),
    "tau2025-evaluation": Corpus(
        record="15517945", top="TAU-urban-acoustic-scenes-2025-mobile-evaluation", splits=False
    ),
}


@dataclass(frozen=True, kw_only=True)
class Prepare:
    """How a corpus is made ready."""

    site: str = SITE
    split_site: str = SPLIT_SITE
    splits: Path | None = None
    """Folder with the split files; None downloads those that are missing."""
    download: bool = True
    """False takes the folder as it is: unpacked, or with its archives in ``archives/``."""
    clean: bool = False
    """Write meta.cleaned.csv and excluded.csv, by which the corpus is then read."""
    decode: bool = True
    """False skips reading the audio itself."""
    patience: RetryPolicy = RetryPolicy()


def prepare(
    name: str, root: Path, how: Prepare = Prepare(), progress: Progress | None = None
) -> dict[str, Any]:
    """Make a corpus ready in ``root``; a summary of what it holds and what is wrong with it.

    Every step goes on where an earlier call was stopped: files that arrived, archives that are
    unpacked and clips that were checked are not done again.

    Raises:
        DataError: No answer, a wrong checksum, a damaged or missing archive, a missing table.
    """
    corpus = CORPORA[name]
    if how.download:
        archives = download(corpus, root, how, progress)
    else:
        archives = sorted((root / ARCHIVES).glob("*.zip")) or sorted(root.glob("*.zip"))
        _no_gaps([archive.name for archive in archives])
    if archives:
        unpack_all(archives, root, corpus.top, progress)
    if not corpus.splits:
        return read_evaluation(root)
    if not (root / "meta.csv").is_file():
        # Before split files are put there: the folder may be mistyped.
        raise DataError(f"There is no {root / 'meta.csv'}: unpack the corpus's meta archive there.")
    bring_splits(root, how, progress)
    return check_corpus(root, how, progress)


def download(
    corpus: Corpus, root: Path, how: Prepare, progress: Progress | None = None
) -> list[Path]:
    """Every archive of the record, whole and checked.

    Raises:
        DataError: As :func:`~aum_edge.data.prepare.download.fetch`, or audio parts with a gap.
    """
    files = [
        file
        for file in list_record(how.site, corpus.record, how.patience)
        if file.name.endswith(".zip")
    ]
    _no_gaps([file.name for file in files])
    missing = sum(file.size for file in files if not (root / ARCHIVES / file.name).is_file())
    require_space(root, missing, "the archives of the corpus")
    found = []
    for number, file in enumerate(files, start=1):
        log.info("%s, %d of %d, %.1f MB", file.name, number, len(files), file.size / 1e6)
        found.append(fetch(file, root / ARCHIVES, progress, how.patience))
    return found


def _no_gaps(names: Sequence[str]) -> None:
    """Audio parts count from 1 without a gap, and meta.csv has an archive; no names are fine."""
    if not names:
        return
    parts = sorted(
        int(name.split(".audio.")[1].removesuffix(".zip")) for name in names if ".audio." in name
    )
    lacking = sorted(set(range(1, max(parts, default=1) + 1)) - set(parts))
    if lacking or not any(".meta." in name for name in names):
        parts_said = ", ".join(map(str, lacking))
        what = f"the audio parts {parts_said} are" if lacking else "the meta archive is"
        raise DataError(
            f"Of the corpus's archives {what} missing, {len(names)} are there: an incomplete copy; "
            "download the rest or take another site."
        )


def bring_splits(root: Path, how: Prepare, progress: Progress | None = None) -> list[str]:
    """Put the split files that are missing into ``split_setup/``; their names.

    Raises:
        DataError: If the folder given lacks test.csv or every training subset, or the site does
            not answer.
    """
    missing = [name for name in (*SUBSETS, "test") if split_path(root, name) is None]
    target = root / "split_setup"
    brought = []
    for name in missing:
        if how.splits is not None:
            source = how.splits / f"{name}.csv"
            if source.is_file():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target / source.name)
                brought.append(name)
        elif how.download:
            write_text(target / f"{name}.csv", _table(f"{how.split_site}/{name}.csv", how))
            brought.append(name)
        if progress:
            progress(len(brought), len(missing), "split files brought")
    there = [name for name in SUBSETS if split_path(root, name)]
    if split_path(root, "test") is None or not there:
        raise DataError(
            f"{root} lacks {'its training subsets' if not there else 'test.csv'}: give the folder "
            "with the published split files by `--splits DIR`."
        )
    return brought


def _table(url: str, how: Prepare) -> str:
    text = read_text(url, how.patience)
    if not text.startswith("filename\t"):
        raise DataError(f"{url} is no split file: its first line is {text[:60]!r}.")
    return text


def check_corpus(
    root: Path, how: Prepare = Prepare(), progress: Progress | None = None
) -> dict[str, Any]:
    """Tables and files held against each other; the summary is also written to integrity.json."""
    tables = read_tables(root)
    problems, bad = dict(tables.problems), dict(tables.bad_rows)
    names = [row["filename"] for row in tables.rows if bad.get(row["filename"]) != "missing file"]
    if how.decode:
        record = root / ".checked.jsonl"
        flaws, unusable = check_files(root, names, record=record, progress=progress)
        problems |= flaws
        bad |= unusable
    summary = _summary(tables, problems, bad)
    if how.clean:
        rows = [[row[name] for name in META] for row in tables.rows if row["filename"] not in bad]
        write_text(root / CLEANED, _tsv(META, rows))
        write_text(root / EXCLUDED, _tsv(("filename", "reason"), sorted(bad.items())))
    elif how.decode and not bad:
        # What was taken out before has been repaired: nothing is left to leave out.
        for name in (CLEANED, EXCLUDED):
            (root / name).unlink(missing_ok=True)
    write_json(root / SUMMARY, summary)
    return summary


def _summary(tables: Tables, problems: Problems, bad: dict[str, str]) -> dict[str, Any]:
    scene = {row["filename"]: row for row in tables.rows}
    splits = {}
    for name, files in tables.splits.items():
        rows = [scene[file] for file in files if file in scene]
        devices = sorted({row["source_label"] for row in rows})
        splits[name] = {
            "clips": len(files),
            "unusable": sum(file in bad for file in files),
            "devices": {d: sum(row["source_label"] == d for row in rows) for d in devices},
        }
    return {
        "clips": len(tables.rows),
        "labels": tables.by("scene_label"),
        "devices": tables.by("source_label"),
        "cities": tables.by("city"),
        "splits": splits,
        "problems": {kind: found.to_dict() for kind, found in sorted(problems.items())},
        "unusable": len(bad),
        "fit": not bad and not any(kind not in HARMLESS for kind in problems),
    }


def _tsv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
