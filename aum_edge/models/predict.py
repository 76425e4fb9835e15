"""Labels of audio: a model's probabilities over all clips of a file or an array, averaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aum_edge.audio.clip import array_clips, batch_clips, read_clips
from aum_edge.audio.config import FrontEndConfig
from aum_edge.errors import AudioError

AT_ONCE = 64
"""Clips whose features are in memory together."""
Sound = str | os.PathLike[str] | NDArray[Any] | Tensor
"""A file, or samples (n,) or (channels, n) within [-1, 1]."""
Ranking = list[tuple[str, float]]
"""Labels and their probabilities, the most probable first."""


@dataclass(frozen=True)
class AudioLabeller:
    """What is needed to label audio, whatever runs the network."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    logits: Callable[[Tensor, Tensor], Tensor]
    """Clips (B, clip_samples) and their samples before padding (B,) to logits (B, n_classes)."""
    probabilities: Callable[[Tensor], Tensor]
    """Logits (B, n_classes) to probabilities."""

    def predict(
        self,
        audio: Sound | list[Sound] | tuple[Sound, ...],
        sample_rate: int | None = None,
        top_k: int | None = None,
    ) -> Ranking | list[Ranking]:
        """The ``top_k`` most probable labels of one sound, or of each in a list.

        Args:
            audio: A path, or samples (n,) or (channels, n) within [-1, 1]; or a list of them.
            sample_rate: Of the samples, Hz; a file says its own.
            top_k: How many labels; ``None`` is all.

        Raises:
            AudioError: If a sound cannot be read or used, or ``top_k`` is below 1.
        """
        if top_k is not None and top_k < 1:
            raise AudioError(f"`top_k` must be at least 1, or None for all labels; got {top_k}.")
        if isinstance(audio, list | tuple):
            return [self._ranking(sound, sample_rate, top_k) for sound in audio]
        return self._ranking(audio, sample_rate, top_k)

    def shares(self, sound: Sound, sample_rate: int | None = None) -> Tensor:
        """Probabilities (n_classes,) of one sound, float64: the mean over its clips.

        Longer audio is cut into clips of the model's length, the last one padded; shorter audio
        is padded, as the front end says.

        Raises:
            AudioError: If it cannot be read or used, or the model gives NaN.
        """
        if isinstance(sound, np.ndarray | Tensor):
            clips, source = array_clips(sound, sample_rate, self.frontend), "The array"
        elif isinstance(sound, str | os.PathLike):
            clips, source = read_clips(sound, self.frontend), os.fspath(sound)
        else:
            raise AudioError(
                f"Audio is a path, a NumPy array or a tensor, got {type(sound).__name__}: wrap "
                "numbers with numpy.asarray(..., dtype='float32')."
            )
        groups = [clips[first : first + AT_ONCE] for first in range(0, len(clips), AT_ONCE)]
        with torch.inference_mode():
            logits = torch.cat([self.logits(*batch_clips(g, self.frontend)) for g in groups])
            if not torch.isfinite(logits).all():
                raise AudioError(f"{source}: the model answers NaN or infinity.")
            return self.probabilities(logits.double()).mean(dim=0)

    def _ranking(self, sound: Sound, sample_rate: int | None, top_k: int | None) -> Ranking:
        shares = self.shares(sound, sample_rate)
        order = shares.argsort(descending=True, stable=True)[:top_k].tolist()
        return [(self.labels[index], float(shares[index])) for index in order]
