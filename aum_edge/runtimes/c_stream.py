"""Streaming inference with an exported C file: chunks of samples in, logits out."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aum_edge.errors import AudioError, ExportError
from aum_edge.runtimes.c import CClassifier, aligned
from aum_edge.runtimes.c_compiler import Isa
from aum_edge.runtimes.stream import StreamClassifier

NOT_READY = 6


class CStream(StreamClassifier):
    """Samples in pieces of any size to logits over all samples since :meth:`reset`.

    Args:
        path: A file that ``export_c`` wrote for a causal student.
        isa: What to build for.

    Raises:
        ExportError: If it is missing, not one of ours, does not compile, or takes whole clips.
    """

    def __init__(self, path: str | Path, isa: Isa = "native") -> None:
        program = CClassifier(path, isa)
        self.path, self.labels = program.path, program.labels
        self.frontend, self.metadata = program.frontend, program.metadata
        if not program.streams:
            raise ExportError(
                f"{path} takes whole clips: streams need a causal student, for example the preset "
                "student-ssd-causal, and a front end without `range_db` and `clip_mean`."
            )
        self._program = program
        size = program.function("stream_size", 0)
        size.restype = ctypes.c_size_t
        self._arena = aligned(size())
        self._begin = program.function("stream_init", 2)
        self._begin.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._push = program.function("push", 3)
        self._push.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self._end, self._result = program.function("end", 1), program.function("result", 2)
        self.reset()

    @property
    def arena_bytes(self) -> int:
        """Bytes of working memory of the stream."""
        return int(self._arena.nbytes)

    def reset(self) -> None:
        """Start a new stream."""
        self._samples = 0
        self._program.checked(self._begin(self._arena.ctypes.data, self._arena.nbytes))

    def push(self, samples: Tensor | np.ndarray) -> Tensor | None:
        """Add samples (n,) at the front end's rate, see :class:`StreamClassifier`."""
        row = np.ascontiguousarray(torch.as_tensor(samples).numpy(), dtype=np.float32)
        if row.ndim != 1:
            raise ExportError(f"A stream takes samples (n,), got {row.shape}.")
        self._samples += len(row)
        self._program.checked(self._push(self._arena.ctypes.data, row.ctypes.data, len(row)))
        return self._logits()

    def finish(self) -> Tensor | None:
        """Add the frames whose windows reach beyond the last sample."""
        if not self._samples:
            raise AudioError("The stream ended after 0 samples: there is no frame to hear.")
        self._program.checked(self._end(self._arena.ctypes.data))
        return self._logits()

    def _logits(self) -> Tensor | None:
        logits = np.empty(len(self.labels), np.float32)
        code = self._result(self._arena.ctypes.data, logits.ctypes.data)
        if code == NOT_READY:
            return None
        self._program.checked(code)
        if not np.isfinite(logits).all():
            raise ExportError(f"{self.path.name} answers NaN: its input holds NaN or Inf.")
        return torch.from_numpy(logits)
