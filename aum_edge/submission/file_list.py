"""Which files are predicted: the evaluation set, or the development set's test split."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aum_edge.core.text import few
from aum_edge.data.corpora.tsv import read_tsv
from aum_edge.errors import DataError
from aum_edge.submission.runtime.scenes import PROBED, SCENES

log = logging.getLogger(__name__)
EVALUATION = ("evaluation_setup/fold1_test.csv", "fold1_test.csv")
TEST = ("test.csv", "split_setup/test.csv", "evaluation_setup/test.csv")
EXPECTED = (*PROBED, "d", "D", "unknown", "")
"""Device ids that a list may hold; others are served as well, and mentioned."""
FEW = 3


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Files in the order of their list."""

    root: Path
    names: tuple[str, ...]
    """As the list writes them: ``audio/0.wav``."""
    devices: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    """Scenes, where they are known."""

    @property
    def paths(self) -> list[str]:
        """Where the files lie."""
        return [str(self.root / name) for name in self.names]


def evaluation_listing(root: Path) -> Listing:
    """The evaluation set: ``filename`` and, from 2025 on, ``device_id`` (which may be unknown).

    Raises:
        DataError: The list is missing or damaged, or files that it names are.
    """
    rows = _table(_first(root, EVALUATION, "the evaluation set's list"), ("filename",))
    devices = tuple((row.get("device_id") or "").strip() for row in rows)
    new = Counter(device for device in devices if device not in EXPECTED)
    for device, count in new.most_common(FEW):
        log.warning(
            "%d files are of the device `%s`, which the challenge does not know: the general model "
            "serves them.", count, device,
        )  # fmt: skip
    listing = Listing(root=root, names=tuple(row["filename"] for row in rows), devices=devices)
    _all_there(listing)
    return listing


def development_listing(root: Path) -> Listing:
    """The test split of the development set, with scenes and devices from ``meta.csv``.

    Raises:
        DataError: A table is missing or damaged, a file is not in meta.csv or not there, or a
            scene or device is unknown.
    """
    meta_path = root / "meta.csv"
    meta = {
        row["filename"]: row
        for row in _table(meta_path, ("filename", "scene_label", "source_label"))
    }
    names = [row["filename"] for row in _table(test_table(root), ("filename",))]
    foreign = [name for name in names if name not in meta]
    if foreign:
        raise DataError(
            f"{len(foreign)} files of the test split are not in {meta_path}: {few(foreign)}."
        )
    labels = [meta[name]["scene_label"] for name in names]
    strange = sorted(set(labels) - set(SCENES))
    if strange:
        raise DataError(f"{meta_path} has scenes that the challenge does not know: {few(strange)}.")
    devices = tuple(meta[name]["source_label"] for name in names)
    unknown = sorted(set(devices) - set(PROBED))
    if unknown:
        raise DataError(
            f"{meta_path} has devices that the challenge does not know: {few(unknown)}; known are "
            f"{', '.join(PROBED)}."
        )
    listing = Listing(root=root, names=tuple(names), devices=devices, labels=tuple(labels))
    _all_there(listing)
    return listing


def test_table(root: Path) -> Path:
    """Where the development set's test.csv lies."""
    return _first(root, TEST, "the development set's test split")


def _first(root: Path, names: Sequence[str], what: str) -> Path:
    if not root.is_dir():
        raise DataError(f"There is no folder {root}: give the corpus's unpacked folder.")
    for name in names:
        if (root / name).is_file():
            return root / name
    raise DataError(f"{root} has no {names[0]}, {what}: unpack its meta archive there.")


def _table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a table separated by tabs, lines ended either way."""
    lines = read_tsv(path, columns, "unpack the corpus's meta archive there")
    if not lines:
        raise DataError(f"{path} lists no files.")
    rows = [row for _, row in lines]
    for number, row in lines:
        if any(not row[name] for name in columns):
            raise DataError(f"{path} line {number} has too few columns.")
    twice = [name for name, count in Counter(row["filename"] for row in rows).items() if count > 1]
    if twice:
        raise DataError(f"{path} lists {len(twice)} files more than once: {few(twice)}.")
    return rows


def _all_there(listing: Listing) -> None:
    """Every file is in its folder; folders are read once."""
    folders: dict[str, set[str]] = {}
    missing = []
    for path, name in zip(listing.paths, listing.names, strict=True):
        folder, _, file = path.rpartition(os.sep)
        if folder not in folders:
            there = Path(folder).is_dir()
            folders[folder] = {entry.name for entry in os.scandir(folder)} if there else set()
        if file not in folders[folder]:
            missing.append(name)
    if missing:
        raise DataError(
            f"{len(missing)} of {len(listing.names)} files are missing in {listing.root}: "
            f"{few(missing)}. Unpack all audio archives there."
        )
