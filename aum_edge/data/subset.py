"""Parts of a corpus: the clips of one recording device, and a corpus without its test clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aum_edge.data.corpora.load import load_manifest
from aum_edge.data.datamodule import AudioData
from aum_edge.data.manifest import Manifest
from aum_edge.errors import DataError


def device_data(data: AudioData, device: str, waveforms: bool = False) -> AudioData:
    """The same corpus, trained and validated on one device's clips alone.

    Arrays are views: nothing is computed or stored again. A device without validation clips is
    validated on those of all devices; the test split stays whole. ``waveforms`` asks for those of
    the training split first, so that no second copy of them is made.

    Raises:
        DataError: If no training clip is of this device.
    """
    data.setup()
    train = data.arrays["train"].device_rows(device)
    if not len(train):
        known = sorted(set(data.arrays["train"].devices) - {""})
        raise DataError(
            f"No training clip is of the device `{device}`; there are "
            f"{', '.join(known) or 'no devices'}."
        )
    val = data.arrays["val"].device_rows(device)
    val = val if len(val) else np.arange(len(data.arrays["val"]))
    return data.derive(
        split_rows={"train": train, "val": val}, view=f"device {device}", waveforms=waveforms
    )


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
