"""What hears audio in pieces, whatever runs the network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.streaming import stream_file


class StreamClassifier(ABC):
    """Samples in pieces of any size to logits over all that was heard since :meth:`reset`."""

    frontend: FrontEndConfig

    @abstractmethod
    def reset(self) -> None:
        """Forget all that was heard."""

    @abstractmethod
    def push(self, samples: Tensor | np.ndarray) -> Tensor | None:
        """Hear samples (n,) at the front end's rate.

        Returns:
            Logits (n_classes,) over all that was heard, or None before the first token.

        Raises:
            ExportError: If samples are not one row, or the network answers NaN.
        """

    @abstractmethod
    def finish(self) -> Tensor | None:
        """Hear the frames whose windows reach beyond the last sample.

        Raises:
            AudioError: If there was nothing to hear.
        """

    def hear_file(self, path: Path) -> Iterator[Tensor]:
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
