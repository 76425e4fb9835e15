"""TAU Urban Acoustic Scenes 2022 Mobile, and any corpus in its layout."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from aum_edge.core.text import few
from aum_edge.core.validation import one_of
from aum_edge.data.corpora.files import corpus_folder
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.corpora.tsv import read_tsv
from aum_edge.data.manifest import Clip, Manifest, Split, make_manifest
from aum_edge.errors import DataError

SUBSETS = ("split5", "split10", "split25", "split50", "split100")
log = logging.getLogger(__name__)
META = ("filename", "scene_label", "identifier", "source_label")
EXCLUDED = "excluded.csv"
"""Clips that ``aum-edge data prepare --clean`` took out, with the reason."""
CLEANED = "meta.cleaned.csv"
"""meta.csv without them and without repeated rows."""
SPLIT_FOLDERS = ("", "split_setup", "evaluation_setup")
Rows = dict[str, dict[str, str]]
"""Lines of a table by their filename."""


@register("tau2022")
@dataclass(frozen=True, kw_only=True)
class Tau2022Config(CorpusConfig):
    """The challenge's training subset and its test split.

    ``root`` holds ``meta.csv`` and ``audio/``; ``<subset>.csv`` and ``test.csv`` lie beside them
    or in ``split_setup/``. All tables are separated by tabs. Every location is one group.
    """

    subset: str = "split25"
    """Which of the challenge's training subsets."""

    def __post_init__(self) -> None:
        one_of("subset", self.subset, SUBSETS)

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: A missing folder, table or column, or a clip that meta.csv does not know.
        """
        return read_layout(corpus_folder(source.root, "tau2022"), self.subset, "tau2022")

    @property
    def title(self) -> str:
        """The corpus and its subset."""
        return f"tau2022 {self.subset}"


def read_layout(root: Path, subset: str, name: str) -> Manifest:
    """The manifest of a folder in TAU's layout, under the corpus name given."""
    cleaned = (root / CLEANED).is_file()
    table = root / (CLEANED if cleaned else "meta.csv")
    meta = _read_table(table, META, "unpack the corpus's meta archive there")
    splits: dict[Split, Rows] = {
        "train": _split_table(root, subset, cleaned),
        "test": _split_table(root, "test", cleaned),
    }
    splits = _without_excluded(root, splits)
    straddling = _straddling(splits, meta)
    clips = [
        _clip(root, split, filename, meta[filename], straddling)
        for split, rows in splits.items()
        for filename in rows
    ]
    return make_manifest(name, clips)


def recording(filename: str) -> str:
    """The 10-s recording of a clip: scene, city, location and segment of its name."""
    # audio/{scene}-{city}-{location}-{segment}-{piece}-{device}.wav
    return Path(filename).stem.rsplit("-", 2)[0]


def _without_excluded(root: Path, splits: dict[Split, Rows]) -> dict[Split, Rows]:
    """The splits less the clips of excluded.csv, where there is one; how many is told."""
    path = root / EXCLUDED
    if not path.is_file():
        return splits
    out = _read_table(path, ("filename", "reason"), "")
    kept: dict[Split, Rows] = {}
    for split, rows in splits.items():
        kept[split] = {name: row for name, row in rows.items() if name not in out}
        if len(kept[split]) < len(rows):
            less = len(rows) - len(kept[split])
            log.warning("%s takes %d clips out of the %s split.", path, less, split)
    return kept


def _clip(
    root: Path, split: Split, filename: str, row: dict[str, str], straddling: set[str]
) -> Clip:
    place = row["identifier"]
    return Clip(
        path=root / filename,
        label=row["scene_label"],
        split=split,
        device=row["source_label"],
        clip_id=filename,
        group=recording(filename) if place in straddling else place,
    )


def _straddling(splits: dict[Split, Rows], meta: Rows) -> set[str]:
    """Locations in both splits as published; their 10-s segments are the groups then."""
    places: dict[Split, set[str]] = {}
    for split, rows in splits.items():
        unknown = [filename for filename in rows if filename not in meta]
        if unknown:
            raise DataError(
                f"{len(unknown)} clips of the {split} split are not in meta.csv: {few(unknown)}. "
                "Do the split files belong to this corpus?"
            )
        places[split] = {meta[filename]["identifier"] for filename in rows}
    both = places["train"] & places["test"]
    if both:
        log.warning("%d locations are in both published splits: %s", len(both), few(sorted(both)))
    return both


def _split_table(root: Path, name: str, repeated: bool) -> Rows:
    for folder in SPLIT_FOLDERS:
        path = root / folder / f"{name}.csv"
        if path.is_file():
            return _read_table(path, ("filename", "scene_label"), "", repeated)
    found = [
        subset
        for subset in SUBSETS
        for f in SPLIT_FOLDERS
        if (root / f / f"{subset}.csv").is_file()
    ]
    raise DataError(
        f"{root} has no {name}.csv (nor split_setup/{name}.csv); training subsets found: "
        f"{', '.join(found) or 'none'}. The challenge's baseline publishes these files."
    )


def _read_table(path: Path, columns: tuple[str, ...], advice: str, repeated: bool = False) -> Rows:
    rows: Rows = {}
    for line, row in read_tsv(path, columns, advice):
        if any(row[name] is None for name in columns):
            raise DataError(f"{path} line {line} has too few columns.")
        if row["filename"] in rows and not repeated:
            raise DataError(f"{path} lists {row['filename']} twice (line {line}).")
        rows[row["filename"]] = row
    return rows
