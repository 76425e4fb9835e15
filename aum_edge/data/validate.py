"""Checks on a manifest that no loader may skip."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from aum_edge.data.manifest import SPLITS, Manifest
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
SHOWN = 3


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


def few(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first names and how many more there are."""
    names = list(names)
    text = ", ".join(names[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"


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
