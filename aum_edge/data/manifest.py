"""Manifest of a corpus: rows of clips, each in one split; its fingerprint and its checks."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aum_edge.core.text import few
from aum_edge.errors import DataError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
SAMPLED_BYTES = 1024
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One row: an audio file, or a part of one, with its label or labels.

    Rows with the same ``clip_id`` are segments of one clip, whose scores are averaged. Rows with
    the same ``group`` were recorded together and never lie on both sides of a split. Both
    default to the file.
    """

    path: Path
    label: str
    split: Split
    device: str = ""
    start: float | None = None
    """Seconds into the file; None is its beginning."""
    end: float | None = None
    """Seconds into the file; None is its end."""
    clip_id: str = ""
    group: str = ""
    labels: tuple[str, ...] = ()
    """All labels of a clip that has several; ``label`` is the first. Default: ``label`` alone."""

    def __post_init__(self) -> None:
        for name in ("clip_id", "group"):
            if not getattr(self, name):
                object.__setattr__(self, name, str(self.path))
        if len(self.labels) < 2:
            object.__setattr__(self, "labels", (self.label,))
        elif self.labels[0] != self.label or len(set(self.labels)) < len(self.labels):
            raise DataError(
                f"The labels of {self.path} must differ and start with `{self.label}`, got "
                f"{', '.join(self.labels)}."
            )


@dataclass(frozen=True)
class Manifest:
    """A corpus: its rows and its labels, in the order of a network's outputs."""

    name: str
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    """Alphabetical, or in the order of a label file."""
    fixed_labels: bool = False
    """The labels come from a label file: some may have no clips."""
    val_is_test: bool = False
    """Validation and test are one file, as in some published recipes."""

    @property
    def multi_label(self) -> bool:
        """Whether any clip has several labels."""
        return any(len(clip.labels) > 1 for clip in self.clips)

    def split(self, name: Split) -> tuple[Clip, ...]:
        """The rows of one split, in order."""
        return tuple(clip for clip in self.clips if clip.split == name)

    def fingerprint(self) -> str:
        """SHA-256 of the labels, the rows and what their files hold (see :func:`fingerprint`)."""
        rows = [[_labels(clip), clip.split, clip.device, clip.group] for clip in self.clips]
        text = json.dumps([self.labels, rows, fingerprint(self.clips)])
        return hashlib.sha256(text.encode()).hexdigest()


def make_manifest(name: str, clips: Sequence[Clip]) -> Manifest:
    """A manifest whose labels are those of its rows."""
    labels = {label for clip in clips for label in clip.labels}
    return Manifest(name, tuple(clips), tuple(sorted(labels)))


def fingerprint(clips: Sequence[Clip]) -> str:
    """SHA-256 of the audio that the rows name, wherever the corpus lies.

    Takes each file's size and 1 KiB from its middle: equal sizes are common (all clips of TAU
    have one), modification times change when a corpus is copied, and reading all of it would
    cost minutes. About 20 µs a file.

    Raises:
        DataError: If a file is missing.
    """
    digest = hashlib.sha256()
    if not clips:
        return digest.hexdigest()
    base = os.path.commonpath([clip.path.parent for clip in clips])
    contents: dict[Path, str] = {}
    for clip in clips:
        if clip.path not in contents:
            contents[clip.path] = _sample(clip.path)
        name = Path(os.path.relpath(clip.path, base)).as_posix()
        digest.update(json.dumps([name, clip.start, clip.end, contents[clip.path]]).encode())
    return digest.hexdigest()


def _labels(clip: Clip) -> str | list[str]:
    return clip.label if len(clip.labels) == 1 else list(clip.labels)


def _sample(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, (size - SAMPLED_BYTES) // 2))
            return hashlib.sha256(f"{size}:".encode() + file.read(SAMPLED_BYTES)).hexdigest()
    except OSError as error:
        raise DataError(
            f"Audio file {path} cannot be opened ({error.strerror}): has it moved since the "
            "corpus was read?"
        ) from error


def check_rows(manifest: Manifest) -> None:
    """What must hold even for a corpus that is only tested on.

    Raises:
        DataError: No rows, a row given twice, a missing file, a group in two splits.
    """
    if not manifest.clips:
        raise DataError(f"Corpus `{manifest.name}` holds no audio clips.")
    again = "test" if manifest.val_is_test else ""
    rows = Counter(
        (clip.path, clip.start, clip.end, clip.split == again) for clip in manifest.clips
    )
    twice = [
        f"{path}" if start is None and end is None else f"{path} [{start}, {end}]"
        for (path, start, end, _), count in rows.items()
        if count > 1
    ]
    if twice:
        raise DataError(
            f"Corpus `{manifest.name}` has {len(twice)} rows given more than once: "
            f"{few(twice)}. Keep each once."
        )
    paths = dict.fromkeys(clip.path for clip in manifest.clips)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        hint = "Is every archive of it unpacked?"
        if manifest.name == "manifest":
            hint = "Paths made on another machine: `aum-edge data reroot` finds the files again."
        raise DataError(
            f"Corpus `{manifest.name}` names {len(missing)} of {len(paths)} audio files that are "
            f"not there: {few(missing)}. {hint}"
        )
    _check_groups(manifest)


def validate(manifest: Manifest) -> None:
    """What must hold for a corpus to be trained, validated and tested on.

    Raises:
        DataError: Whatever :func:`check_rows` raises; an empty split; a single label; a label
            that is validated or tested but never trained.
    """
    check_rows(manifest)
    labels = {
        split: {label for clip in manifest.split(split) for label in clip.labels}
        for split in SPLITS
    }
    for split in SPLITS:
        if not labels[split]:
            raise DataError(
                f"The {split} split of corpus `{manifest.name}` is empty; "
                f"{_counts(manifest)}. Give it clips, or change what is held out."
            )
        unknown = sorted(labels[split] - labels["train"])
        if unknown and manifest.fixed_labels:
            log.warning("The %s split has labels never trained: %s.", split, few(unknown))
        elif unknown:
            raise DataError(
                f"The {split} split of corpus `{manifest.name}` has labels that the training "
                f"split lacks: {few(unknown)}; it has {few(sorted(labels['train']), 12)}."
            )
    if len(labels["train"]) < 2:
        raise DataError(
            f"Corpus `{manifest.name}` has the single label `{manifest.labels[0]}`; "
            "a classifier needs at least two."
        )


def _place(split: str, manifest: Manifest) -> str:
    """The split as far as leaks go: one for validation and test when they are one file."""
    return "held out" if manifest.val_is_test and split != "train" else split


def _check_groups(manifest: Manifest) -> None:
    seen: dict[str, str] = {}
    leaks = {}
    for clip in manifest.clips:
        place = _place(clip.split, manifest)
        first = seen.setdefault(clip.group, place)
        if first != place:
            leaks[clip.group] = f"{clip.group} ({first} and {place})"
    if leaks:
        raise DataError(
            f"{len(leaks)} groups of corpus `{manifest.name}` lie in two splits, so clips "
            f"recorded together would be trained and tested on: {few(leaks.values())}."
        )


def _counts(manifest: Manifest) -> str:
    return ", ".join(f"{split} has {len(manifest.split(split))} clips" for split in SPLITS)
