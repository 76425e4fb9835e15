"""Any folder of audio without labels, to pretrain on."""

from __future__ import annotations

from dataclasses import dataclass

from aum_edge.core.validation import above
from aum_edge.data.corpora.files import audio_files, corpus_folder, no_audio
from aum_edge.data.corpora.registry import CorpusConfig, CorpusSource, register
from aum_edge.data.manifest import Clip, Manifest, make_manifest
from aum_edge.data.segments import cut


@register("audio")
@dataclass(frozen=True, kw_only=True)
class AudioFolderConfig(CorpusConfig):
    """Every audio file below ``root``, at any depth, cut into segments.

    All of it is training audio with one empty label; validation is split off by whole files.
    """

    segment_seconds: float = 1.0
    """Length of the segments that files are cut into, s."""

    def __post_init__(self) -> None:
        above("segment_seconds", self.segment_seconds, 0)

    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus.

        Raises:
            DataError: No such folder or no audio in it.
        """
        root = corpus_folder(source.root, "audio")
        clips = []
        for path in audio_files(root, deep=True):
            name = path.relative_to(root).as_posix()
            clips.append(Clip(path=path, label="", split="train", clip_id=name, group=name))
        if not clips:
            raise no_audio("audio", root, "files at any depth")
        return make_manifest("audio", cut(clips, self.segment_seconds))
