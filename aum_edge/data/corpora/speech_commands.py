"""Google Speech Commands, versions 1 and 2: one folder per word, official split lists."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from aum_edge.core.text import few
from aum_edge.data.corpora.files import audio_files, corpus_folder, no_audio, subfolders
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.manifest import Clip, Manifest, Split, make_manifest
from aum_edge.errors import DataError

log = logging.getLogger(__name__)
LISTS: dict[Split, str] = {"val": "validation_list.txt", "test": "testing_list.txt"}
SPEAKER_END = "_nohash_"


@register("speech_commands")
@dataclass(frozen=True, kw_only=True)
class SpeechCommandsConfig(CorpusConfig):
    """Every word is a class (30 in version 1, 35 in version 2); splits by the official lists.

    ``root`` holds ``<word>/<speaker>_nohash_<take>.wav``, ``validation_list.txt`` and
    ``testing_list.txt``. Folders that begin with ``_`` (``_background_noise_``) are left out.
    A speaker's clips are one group. Source: Warden, arXiv 1804.03209.
    """

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: No such folder, no recordings, no lists, or lists that name clips not there.
        """
        root = corpus_folder(source.root, "speech_commands")
        words = [folder for folder in subfolders(root) if not folder.name.startswith("_")]
        files = {f"{word.name}/{path.name}": path for word in words for path in audio_files(word)}
        if not files:
            layout = "<word>/<speaker>_nohash_<take>.wav and the two lists"
            raise no_audio("speech_commands", root, layout)
        listed = _listed(root, files)
        clips = [
            Clip(
                path=path,
                label=path.parent.name,
                split=listed.get(name, "train"),
                clip_id=name,
                group=_speaker(path),
            )
            for name, path in files.items()
        ]
        return make_manifest("speech_commands", _own_groups_where_split(clips))


def _own_groups_where_split(clips: list[Clip]) -> list[Clip]:
    """The official lists decide: a speaker whom they put into two splits is no group."""
    splits: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        splits[clip.group].add(clip.split)
    torn = {group for group, found in splits.items() if len(found) > 1}
    if torn:
        log.warning("The lists put %d speakers into two splits: %s", len(torn), few(sorted(torn)))
    return [replace(c, group=str(c.path)) if c.group in torn else c for c in clips]


def _speaker(path: Path) -> str:
    return path.stem.split(SPEAKER_END)[0] if SPEAKER_END in path.stem else str(path)


def _listed(root: Path, files: dict[str, Path]) -> dict[str, Split]:
    """The split of every clip that a list names."""
    splits: dict[str, Split] = {}
    for split, name in LISTS.items():
        table = root / name
        if not table.is_file():
            raise DataError(
                f"Corpus `speech_commands` has no {table}: unpack the whole archive, its splits "
                f"are {' and '.join(LISTS.values())}."
            )
        lines = table.read_text(encoding="utf-8").split()
        gone = [line for line in lines if line not in files]
        if gone:
            raise DataError(
                f"{table} names {len(gone)} of {len(lines)} clips that are not there: {few(gone)}. "
                "Is the whole archive unpacked?"
            )
        splits |= dict.fromkeys(lines, split)
    return splits
