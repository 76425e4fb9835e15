"""A corpus for pretraining: its labels are ignored, its test split is left out."""

from __future__ import annotations

from dataclasses import replace

from aum_edge.data.corpora import load_manifest
from aum_edge.data.datamodule import AudioData
from aum_edge.data.manifest import Manifest
from aum_edge.errors import DataError


class UnlabelledAudio(AudioData):
    """Any corpus, its training and validation clips alone.

    Test clips never reach pretraining: not a feature of theirs is computed, and normalisation is
    of the training clips. ``y`` in the batches means nothing.
    """

    def _read_manifest(self) -> Manifest:
        config = replace(self.config, label_file="", n_classes=0)
        manifest = load_manifest(config, self.cache_dir, self.progress)
        for split in ("train", "val"):
            if not any(clip.split == split for clip in manifest.clips):
                raise DataError(
                    f"Corpus `{manifest.name}` has no {split} clips to pretrain with: give it "
                    "more files, or change what is held out."
                )
        kept = tuple(clip for clip in manifest.clips if clip.split != "test")
        return replace(manifest, clips=kept)
