"""The one family of exceptions. Each carries the exit code the command line gives it.

A message is one clear line: what is wrong, the value got, the values allowed, what to do next.
"""

from __future__ import annotations

import signal


class AumEdgeError(Exception):
    """Anything aum-edge reports to its user; the command line exits with ``exit_code``."""

    exit_code = 1


class RecipeError(AumEdgeError, ValueError):
    """A recipe or a configuration value is wrong."""

    exit_code = 2


class AudioError(AumEdgeError):
    """An audio file cannot be used: missing, unreadable, empty, silent, NaN, too short."""


class DataError(AumEdgeError):
    """A corpus or manifest is wrong: missing split, unknown label, no clips."""


class DiskError(DataError):
    """A file cannot be written: the disk is full, or the folder is not there to be written to."""


class CheckpointError(AumEdgeError):
    """A model directory or checkpoint is foreign, truncated or of another architecture."""


class CompressionError(AumEdgeError):
    """Pruning or quantization cannot reach what was asked for."""


class SearchError(AumEdgeError):
    """A search cannot go on: its storage is gone, unreadable or another recipe's."""


class UnsupportedOperatorError(AumEdgeError):
    """An operator has no counting or export rule."""


class BudgetError(AumEdgeError):
    """A model is over a limit."""

    exit_code = 3


class ExportError(AumEdgeError):
    """An ONNX file could not be made or read."""


class BenchError(AumEdgeError):
    """Latencies cannot be measured here, or may not be compared."""


class ParityError(ExportError):
    """Two runtimes disagree by more than the tolerance."""

    exit_code = 4


class Stopped(KeyboardInterrupt):
    """A user (Ctrl-C) or a system (SIGTERM) asked to end; what is finished is kept.

    A ``KeyboardInterrupt`` and no error: whoever handles errors goes past it.
    """

    def __init__(self, number: int = signal.SIGINT, where: str = "") -> None:
        super().__init__(number, where)
        self.number = number
        self.where = where

    @property
    def exit_code(self) -> int:
        """As a shell gives it to what a signal ended: 130 or 143."""
        return 128 + self.number

    def __str__(self) -> str:
        place = f" {self.where}" if self.where else ""
        return f"Stopped{place}. Run the same command again to go on."
