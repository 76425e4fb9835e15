"""Free Spoken Digit Dataset: ``<digit>_<speaker>_<take>.wav``."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from aum_edge.core.text import few
from aum_edge.data.corpora.files import audio_files, corpus_folder, no_audio
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.manifest import Clip, Manifest, make_manifest
from aum_edge.data.splits import check_held_out, split_of

log = logging.getLogger(__name__)
NAME = re.compile(r"(?P<digit>[^_]+)_(?P<speaker>[^_]+)_(?P<take>\d+)")


@register("fsdd")
@dataclass(frozen=True, kw_only=True)
class FsddConfig(CorpusConfig):
    """Train on every speaker but those held out. Reads ``root`` or ``root/recordings``.

    All digits of one speaker's take are one group, so validation holds out takes of the speakers
    trained on where there are no ``val_speakers``. Source:
    github.com/Jakobovski/free-spoken-digit-dataset.
    """

    test_speakers: tuple[str, ...] = ()
    """The speakers held out; at least one is needed."""
    val_speakers: tuple[str, ...] = ()
    """The speakers to validate on, who are then not trained on; without any, takes of the
    training speakers are held out, which says little about other speakers."""

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: No such folder, no recordings, speakers that the corpus does not have, or
                one to validate and to test on.
        """
        root = corpus_folder(source.root, "fsdd")
        folder = root / "recordings" if (root / "recordings").is_dir() else root
        matches = {path: NAME.fullmatch(path.stem) for path in audio_files(folder)}
        strange = [path.name for path, match in matches.items() if match is None]
        if len(strange) == len(matches):
            raise no_audio("fsdd", folder, "<digit>_<speaker>_<take>.wav")
        if strange:
            log.warning("Left out %d files not named as FSDD's are: %s", len(strange), few(strange))
        speakers = sorted({match["speaker"] for match in matches.values() if match})
        check_held_out("fsdd", "speaker", speakers, self.val_speakers, set(self.test_speakers))
        clips = [_clip(path, match, self) for path, match in matches.items() if match]
        return make_manifest("fsdd", clips)


def _clip(path: Path, match: re.Match[str], config: FsddConfig) -> Clip:
    return Clip(
        path=path,
        label=match["digit"],
        split=split_of(match["speaker"], config.val_speakers, config.test_speakers),
        clip_id=path.stem,
        group=f"{match['speaker']}-{match['take']}",
    )
