"""Any folder of audio, without labels: for pretraining."""

from __future__ import annotations

from aum_edge.data.config import DataConfig
from aum_edge.data.files import audio_files, corpus_folder, no_audio
from aum_edge.data.manifest import Clip, Manifest, make_manifest
from aum_edge.data.segments import cut


def load_audio_folder(config: DataConfig) -> Manifest:
    """Every audio file below ``root``, at any depth, cut into segments of ``segment_seconds``.

    All of it is training audio with one empty label; validation is carved by whole files.

    Raises:
        DataError: No such folder or no audio in it.
    """
    root = corpus_folder(config.root, "audio")
    clips = []
    for path in audio_files(root, deep=True):
        name = path.relative_to(root).as_posix()
        clips.append(Clip(path=path, label="", split="train", clip_id=name, group=name))
    if not clips:
        raise no_audio("audio", root, "files at any depth")
    return make_manifest("audio", cut(clips, config.segment_seconds))
