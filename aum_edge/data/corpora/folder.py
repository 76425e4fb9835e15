"""Any folder of audio with one folder per class."""

from __future__ import annotations

from pathlib import Path

from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.files import audio_files, corpus_folder, no_audio, subfolders
from aum_edge.data.manifest import SPLITS, Clip, Manifest, Split, make_manifest
from aum_edge.data.segments import cut
from aum_edge.data.splits import split_by_groups


def load_folder(config: DataConfig) -> Manifest:
    """``root/<split>/<class>/*`` or ``root/<class>/*``, at any depth below the class.

    The first is meant when ``root`` has a folder ``test`` or ``train``; ``val`` may be there too.
    Without splits ``test_fraction`` of the files is held out by ``val_seed``. Files are cut into
    segments of ``segment_seconds`` whose scores are averaged.

    Raises:
        DataError: No such folder or no audio in it.
    """
    root = corpus_folder(config.root, "folder")
    named = [split for split in SPLITS if (root / split).is_dir()]
    if "train" in named or "test" in named:
        clips = [clip for split in named for clip in _classes(root, root / split, split)]
    else:
        clips = _classes(root, root, "train")
        clips = list(split_by_groups(clips, config.test_fraction, config.val_seed, "test"))
    if not clips:
        raise no_audio("folder", root, "<split>/<class>/<file> or <class>/<file>")
    return make_manifest("folder", cut(clips, config.segment_seconds))


def _classes(root: Path, folder: Path, split: Split) -> list[Clip]:
    clips = []
    for label in subfolders(folder):
        for path in audio_files(label, deep=True):
            name = path.relative_to(root).as_posix()
            clips.append(Clip(path=path, label=label.name, split=split, clip_id=name, group=name))
    return clips


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
