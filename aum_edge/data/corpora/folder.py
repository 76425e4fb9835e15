"""Any folder of audio with one folder per class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aum_edge.core.validation import above, share
from aum_edge.data.corpora.files import audio_files, corpus_folder, no_audio, subfolders
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.manifest import SPLITS, Clip, Manifest, Split, make_manifest
from aum_edge.data.segments import cut
from aum_edge.data.splits import split_by_groups


@register("folder")
@dataclass(frozen=True, kw_only=True)
class FolderConfig(CorpusConfig):
    """``root/<split>/<class>/*`` or ``root/<class>/*``, at any depth below the class.

    The first is meant when ``root`` has a folder ``test`` or ``train``; ``val`` may be there too.
    Files are cut into segments whose scores are averaged.
    """

    segment_seconds: float = 1.0
    """Length of the segments that files are cut into, s."""
    test_fraction: float = 0.2
    """Share of the files held out for testing, by ``val_seed``, where no folder names splits."""

    def __post_init__(self) -> None:
        above("segment_seconds", self.segment_seconds, 0)
        share("test_fraction", self.test_fraction)

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: No such folder or no audio in it.
        """
        root = corpus_folder(source.root, "folder")
        named = [split for split in SPLITS if (root / split).is_dir()]
        if "train" in named or "test" in named:
            clips = [clip for split in named for clip in _classes(root, root / split, split)]
        else:
            clips = _classes(root, root, "train")
            clips = list(split_by_groups(clips, self.test_fraction, source.seed, "test"))
        if not clips:
            raise no_audio("folder", root, "<split>/<class>/<file> or <class>/<file>")
        return make_manifest("folder", cut(clips, self.segment_seconds))


def _classes(root: Path, folder: Path, split: Split) -> list[Clip]:
    clips = []
    for label in subfolders(folder):
        for path in audio_files(label, deep=True):
            name = path.relative_to(root).as_posix()
            clips.append(Clip(path=path, label=label.name, split=split, clip_id=name, group=name))
    return clips
