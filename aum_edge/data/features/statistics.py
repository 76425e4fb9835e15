"""Mean and deviation of a corpus's features, with and without the frames that are padding."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aum_edge.audio.config import FrontEndConfig
from aum_edge.data.features.cache import ClipArrays
from aum_edge.errors import DataError

ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Of all values of one split."""

    mean: float
    std: float
    frames: int


@dataclass(frozen=True, kw_only=True)
class FeatureStatistics:
    """``padded`` is what training uses: every frame that the network gets."""

    padded: Statistics
    sound: Statistics
    """Frames of sound alone; as ``padded`` where padding is silence of the waveform."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def feature_statistics(arrays: ClipArrays, frontend: FrontEndConfig) -> FeatureStatistics:
    """Read one split once; float64 sums.

    Raises:
        DataError: If the split is empty.
    """
    if not len(arrays):
        raise DataError("The split is empty: there is nothing to take a mean of.")
    everything, sound = _Sums(), _Sums()
    at = np.arange(frontend.n_frames)
    for start in range(0, len(arrays), ROWS):
        block = np.asarray(arrays.features[start : start + ROWS], dtype=np.float64)
        everything.add(block, len(block) * len(at))
        if arrays.lengths is not None:
            lengths = arrays.lengths[start : start + ROWS].tolist()
            own = at < np.array([frontend.frames_of(length) for length in lengths])[:, None]
            sound.add(block.transpose(0, 2, 1)[own], int(own.sum()))
    padded = everything.moments()
    return FeatureStatistics(
        padded=padded, sound=padded if arrays.lengths is None else sound.moments()
    )


class _Sums:
    def __init__(self) -> None:
        self.total = self.square = 0.0
        self.values = self.frames = 0

    def add(self, block: np.ndarray, frames: int) -> None:
        self.total += float(block.sum())
        self.square += float(np.square(block).sum())
        self.values += block.size
        self.frames += frames

    def moments(self) -> Statistics:
        mean = self.total / self.values
        spread = max(0.0, self.square / self.values - mean**2)
        return Statistics(mean=mean, std=spread**0.5, frames=self.frames)
