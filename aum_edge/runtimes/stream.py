"""Interface of streaming classifiers: chunks of samples in, logits out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.streaming import stream_file


class StreamClassifier(ABC):
    """Samples in pieces of any size to logits over all samples since :meth:`reset`."""

    frontend: FrontEndConfig

    @abstractmethod
    def reset(self) -> None:
        """Start a new stream."""

    @abstractmethod
    def push(self, samples: Tensor | np.ndarray) -> Tensor | None:
        """Add samples (n,) at the front end's rate.

        Returns:
            Logits (n_classes,) over all samples so far, or None before the first token.

        Raises:
            ExportError: If samples are not one row, or the network's logits are NaN.
        """

    @abstractmethod
    def finish(self) -> Tensor | None:
        """Add the frames whose windows reach beyond the last sample.

        Raises:
            AudioError: If there were no samples.
        """

    def file_logits(self, path: Path) -> Iterator[Tensor]:
        """Logits after each piece of a file, and at its end; starts anew.

        Raises:
            AudioError: If the file is missing, unreadable, cut short, or holds NaN.
        """
        self.reset()
        for piece in stream_file(path, self.frontend):
            logits = self.push(piece)
            if logits is not None:
                yield logits
        logits = self.finish()
        if logits is not None:
            yield logits
