"""ESC-50 and ESC-10: environmental sounds of 5 s in five folds."""

from __future__ import annotations

import csv
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from aum_edge.core.text import few
from aum_edge.core.validation import above, one_of
from aum_edge.data.corpora.files import audio_files, corpus_folder, no_audio, subfolders
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.manifest import Clip, Manifest, make_manifest
from aum_edge.data.segments import cut, drop_silent
from aum_edge.data.splits import check_held_out, split_of
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
NAME = re.compile(r"(?P<fold>\d+)-(?P<source>\d+)-(?P<take>[A-Za-z]+)(-\d+)?")
COLUMNS = ("filename", "fold", "category")
SilentSegments = Literal["keep", "drop"]
Row = tuple[Path, str, int, str]
"""File, label, fold, source recording."""


@register("esc")
@dataclass(frozen=True, kw_only=True)
class EscConfig(CorpusConfig):
    """Train on every fold but ``test_folds``, in segments of ``segment_seconds``.

    Reads ESC-50's own layout (``meta/esc50.csv`` beside ``audio/``) and folders by class
    (``<class>/<fold>-<source>-<take>.ogg``). Clips of one source recording are one group; a clip's
    segments share its ``clip_id``, so their scores are averaged.

    ESC pads short sounds with digital silence to 5 s. With ``silent_segments: drop`` (the
    default) padding is neither trained nor scored: it carries no sound to classify, only the
    hint that a class is short, which no microphone delivers. The rule looks at the audio alone,
    is the same in every split, keeps at least one segment of every clip, and is counted in the
    log; ``keep`` takes all segments.
    """

    test_folds: tuple[int, ...] = ()
    """The folds held out; at least one is needed."""
    val_folds: tuple[int, ...] = ()
    """The folds to validate on; without any, clips of the training folds are held out."""
    segment_seconds: float = 1.0
    """Length of the segments that clips are cut into, s."""
    silent_segments: SilentSegments = "drop"
    """What to do with the segments that its authors padded with silence."""

    def __post_init__(self) -> None:
        one_of("silent_segments", self.silent_segments, get_args(SilentSegments))
        above("segment_seconds", self.segment_seconds, 0)

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: No such folder, no clips, or folds that the corpus does not have.
        """
        root = corpus_folder(source.root, "esc")
        table = root / "meta" / "esc50.csv"
        rows = _from_table(table) if table.is_file() else _from_folders(root)
        folds = sorted({fold for _, _, fold, _ in rows})
        check_held_out("esc", "fold", folds, self.val_folds, set(self.test_folds))
        parts = cut([_clip(root, row, self) for row in rows], self.segment_seconds)
        if self.silent_segments == "drop":
            parts = drop_silent(parts, source.cache_dir, source.progress)
        return make_manifest("esc", parts)


def _clip(root: Path, row: Row, config: EscConfig) -> Clip:
    path, label, fold, source = row
    return Clip(
        path=path,
        label=label,
        split=split_of(fold, config.val_folds, config.test_folds),
        clip_id=path.relative_to(root).as_posix(),
        group=source,
    )


def _from_folders(root: Path) -> list[Row]:
    rows: list[Row] = []
    strange = []
    for folder in subfolders(root):
        for path in audio_files(folder):
            match = NAME.fullmatch(path.stem)
            if match:
                rows.append((path, folder.name, int(match["fold"]), match["source"]))
            else:
                strange.append(f"{folder.name}/{path.name}")
    if not rows:
        layout = "meta/esc50.csv with audio/, or <class>/<fold>-<source>-<take>.ogg"
        raise no_audio("esc", root, layout)
    if strange:
        log.warning("Left out %d files not named as ESC's are: %s", len(strange), few(strange))
    return rows


def _from_table(table: Path) -> list[Row]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if lacking:
            raise DataError(
                f"{table} lacks the columns {', '.join(lacking)}; it has {reader.fieldnames}."
            )
        entries = list(reader)
    rows: list[Row] = []
    for number, entry in enumerate(entries, start=2):
        path = table.parent.parent / "audio" / entry["filename"]
        if not entry["fold"].isdigit():
            raise DataError(f"{table} line {number}: `fold` must be a number: {entry['fold']!r}.")
        source = entry.get("src_file") or path.stem.split("-")[1]
        rows.append((path, entry["category"], int(entry["fold"]), source))
    return rows
