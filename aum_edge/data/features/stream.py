"""Features made while training, for corpora whose features no disk holds."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np
import torch
from torch.utils.data import get_worker_info

from aum_edge.audio.clip import batch_clips, read_clip
from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import front_end
from aum_edge.data.features.cache import ClipArrays, Lengths, targets_of
from aum_edge.data.features.npy import Floats, Rows
from aum_edge.data.manifest import SPLITS, Clip, Manifest
from aum_edge.data.segments import WORKERS
from aum_edge.errors import AudioError, DataError


class ClipError(DataError):
    """A clip that cannot be read, in one line also when it comes out of a loader's process.

    torch hands such an error on as its whole traceback, of which the last line is the message.
    """

    def __init__(self, message: str) -> None:
        line = message.strip().splitlines()[-1]
        super().__init__(line.removeprefix(f"{__name__}.{type(self).__name__}: "))


class StreamedFeatures:
    """Looks like an array (n, n_mels, n_frames); rows are read from audio whenever asked for."""

    def __init__(self, clips: tuple[Clip, ...], frontend: FrontEndConfig) -> None:
        self.clips = clips
        self.frontend = frontend
        self.shape = (len(clips), frontend.n_mels, frontend.n_frames)
        self.size = len(clips) * frontend.n_mels * frontend.n_frames

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, rows: slice | Rows) -> Floats:
        with torch.inference_mode():
            waveforms, lengths = self.waveforms(rows)
            if not len(waveforms):
                return np.zeros((0, *self.shape[1:]), dtype=np.float32)
            made = front_end(self.frontend)(torch.from_numpy(waveforms), torch.from_numpy(lengths))
            features: Floats = made.numpy()
            return features

    def waveforms(self, rows: slice | Rows) -> tuple[Floats, Lengths]:
        """Clips (b, clip_samples) and their samples before padding (b,).

        Raises:
            ClipError: If a file cannot be read; another clip never takes its place.
        """
        picked = np.arange(len(self))[rows].reshape(-1).tolist()
        if not picked:
            return np.zeros((0, self.frontend.clip_samples), np.float32), np.zeros(0, np.int64)
        batch = batch_clips(self._read([self.clips[row] for row in picked]), self.frontend)
        return batch.waveforms.numpy(), batch.lengths.numpy()

    def _read(self, clips: Sequence[Clip]) -> list[torch.Tensor]:
        if get_worker_info() is not None:
            return [self._clip(clip) for clip in clips]
        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(self._clip, clips))

    def _clip(self, clip: Clip) -> torch.Tensor:
        try:
            return read_clip(clip.path, self.frontend, clip.start, clip.end)
        except AudioError as error:
            raise ClipError(
                f"A clip cannot be read: {error} `aum-edge data check` lists all such files."
            ) from error


@dataclass(frozen=True, kw_only=True)
class StreamedArrays(ClipArrays):
    """One split that is read from its audio each time."""

    stream: StreamedFeatures

    def waveform_rows(self, rows: Rows) -> tuple[Floats, Lengths | None]:
        """Waveforms and lengths of some rows."""
        waveforms, lengths = self.stream.waveforms(rows)
        return waveforms, None if self.stream.frontend.padding == "audio" else lengths

    def take(self, rows: Rows) -> Self:
        """Some rows of the split, read from their own clips."""
        clips = tuple(self.clips[row] for row in rows)
        stream = StreamedFeatures(clips, self.stream.frontend)
        return replace(
            self,
            features=cast(Floats, stream),
            stream=stream,
            labels=self.labels[rows],
            clips=clips,
            targets=None if self.targets is None else self.targets[rows],
        )


def stream_splits(manifest: Manifest, frontend: FrontEndConfig) -> dict[str, ClipArrays]:
    """Every split as :func:`~aum_edge.data.features.cache.build_cache` gives it, nothing stored.

    Each epoch decodes all audio again; loaders do so in processes of their own.
    """
    splits: dict[str, ClipArrays] = {}
    for split in SPLITS:
        clips = manifest.split(split)
        stream = StreamedFeatures(clips, frontend)
        labels, targets = targets_of(clips, manifest)
        splits[split] = StreamedArrays(
            features=cast(Floats, stream),
            waveforms=None,
            labels=labels,
            targets=targets,
            clips=clips,
            stream=stream,
        )
    return splits
