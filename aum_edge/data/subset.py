"""A corpus as one recording device hears it: its training and validation clips, every test clip."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aum_edge.data.corpora.registry import load_manifest
from aum_edge.data.datamodule import AudioData
from aum_edge.data.features.cache import ClipArrays, Floats
from aum_edge.data.features.stream import StreamedArrays, stream_splits
from aum_edge.data.manifest import Clip, Manifest
from aum_edge.errors import DataError

Rows = NDArray[np.int64]


class DataSubset:
    """Some rows of an array that stays where it is; looks like an array (n, ...) to readers."""

    def __init__(self, base: Floats, rows: Rows) -> None:
        self._base = base
        self._rows = rows
        self.shape = (len(rows), *base.shape[1:])
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Floats:
        made: Floats = self._base[self._rows[index]]
        return made

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._base[self._rows], dtype=dtype)


def device_data(data: AudioData, device: str, waveforms: bool = False) -> AudioData:
    """The same corpus, trained and validated on one device's clips alone.

    Arrays are views: nothing is computed or stored again. A device without validation clips is
    validated on those of all devices; the test split stays whole. ``waveforms`` asks for those of
    the training split first, so that no second copy of them is made.

    Raises:
        DataError: If no training clip is of this device.
    """
    data.setup()
    if waveforms and data.config.store != "stream":
        data = data.with_batches(data.batch_size, waveforms=True)
    other = AudioData(
        data.config,
        data.frontend,
        cache_dir=data.cache_dir,
        batch_size=data.batch_size,
        seed=data.seed,
        waveforms=waveforms,
        progress=data.progress,
    )
    train = rows_of(data.arrays["train"], device)
    if not len(train):
        known = sorted(set(data.arrays["train"].devices) - {""})
        raise DataError(
            f"No training clip is of the device `{device}`; there are "
            f"{', '.join(known) or 'no devices'}."
        )
    val = rows_of(data.arrays["val"], device)
    kept = {"train": train, "val": val if len(val) else np.arange(len(data.arrays["val"]))}
    clips: list[Clip] = []
    for split, arrays in data.arrays.items():
        rows = kept.get(split)
        clips += arrays.clips if rows is None else [arrays.clips[row] for row in rows]
    other.manifest = Manifest(
        data.manifest.name, tuple(clips), data.manifest.labels, data.manifest.fixed_labels
    )
    if data.config.store == "stream":
        other.arrays = stream_splits(other.manifest, data.frontend)
    else:
        views = {split: some_rows(data.arrays[split], rows) for split, rows in kept.items()}
        other.arrays = {**data.arrays, **views}
    other.normalization = data.normalization
    text = f"{data.fingerprint}|device {device}"
    other.fingerprint = hashlib.sha256(text.encode()).hexdigest()
    return other


def rows_of(arrays: ClipArrays, device: str) -> Rows:
    """Rows of one device, in order."""
    return np.flatnonzero(np.asarray(arrays.devices, dtype=object) == device)


def some_rows(arrays: ClipArrays, rows: Rows) -> ClipArrays:
    """Views of some rows of a split.

    Raises:
        DataError: If the split is read from its audio each time.
    """
    if isinstance(arrays, StreamedArrays):
        raise DataError("Rows of a streamed split are chosen by its manifest.")
    waveforms = arrays.waveforms
    return replace(
        arrays,
        features=cast(Floats, DataSubset(arrays.features, rows)),
        waveforms=None if waveforms is None else cast(Floats, DataSubset(waveforms, rows)),
        labels=arrays.labels[rows],
        clips=tuple(arrays.clips[row] for row in rows),
        targets=None if arrays.targets is None else arrays.targets[rows],
        lengths=None if arrays.lengths is None else arrays.lengths[rows],
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
