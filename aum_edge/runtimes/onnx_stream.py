"""Streaming inference with an ONNX step graph: chunks of samples in, logits out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from aum_edge.audio.streaming import StreamingFrontEnd
from aum_edge.errors import ExportError
from aum_edge.runtimes.contract import FRAMES_IN, LOGITS
from aum_edge.runtimes.onnx import open_session
from aum_edge.runtimes.onnx_metadata import read_metadata
from aum_edge.runtimes.stream import StreamClassifier

Arrays = dict[str, np.ndarray]


class BoundSteps:
    """Inputs and outputs bound once; two state buffers are read and written alternately.

    Args:
        session: Of a step graph.
        frames: Shape of the input ``frames``.
        states: Shape of each state without the batch, which is 1.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        frames: Sequence[int],
        states: Mapping[str, Sequence[int]],
    ) -> None:
        self._session = session
        self._frames = np.zeros(frames, np.float32)
        classes = next(x for x in session.get_outputs() if x.name == LOGITS).shape[-1]
        self.logits = np.zeros((1, classes), np.float32)
        """(1, n_classes) after the last step; the next one overwrites it."""
        first, second = (
            {name: np.zeros((1, *shape), np.float32) for name, shape in states.items()}
            for _ in range(2)
        )
        self._start = first
        self._bindings = self._bound(first, second), self._bound(second, first)
        self._current = 0

    def reset(self) -> None:
        """The state before the first frame: zeros."""
        self._current = 0
        for state in self._start.values():
            state.fill(0)

    def step(self, frames: np.ndarray) -> None:
        """Run the graph on frames (n_mels, k) and update ``logits``."""
        self._frames[0, 0] = frames
        self._session.run_with_iobinding(self._bindings[self._current])
        self._current = 1 - self._current

    def _bound(self, before: Arrays, after: Arrays) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        inputs = {FRAMES_IN: self._frames, **{f"state.{k}": v for k, v in before.items()}}
        outputs = {LOGITS: self.logits, **{f"next.{k}": v for k, v in after.items()}}
        for name, array in inputs.items():
            # On a CPU this is the array itself, not a copy of it.
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return binding


class OnnxStream(StreamClassifier):
    """Samples in pieces of any size to logits over all samples since :meth:`reset`.

    Args:
        path: A file that ``export_streaming`` wrote.
        threads: Of onnxruntime.

    Raises:
        ExportError: If the file is missing, not ONNX, or no step graph of ours.
        RecipeError: If ``threads`` is below 1.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        self.path = Path(path)
        self.session = open_session(self.path, threads)
        props = self.session.get_modelmeta().custom_metadata_map
        read = read_metadata(props, str(path))
        if "streaming" not in read.values:
            raise ExportError(
                f"{path} takes whole clips: export the model with `aum-edge export --streaming`."
            )
        self.labels, self.frontend, self.metadata = read.labels, read.frontend, read.values
        streaming = read.values["streaming"]
        self._frames: int = streaming["frames"]
        self._steps = BoundSteps(
            self.session, (1, 1, self.frontend.n_mels, self._frames), streaming["state"]
        )
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._front_end = StreamingFrontEnd(self.frontend)
        self._steps.reset()
        # Padding before the first frame: the first step does not read it.
        self._waiting = np.zeros((self.frontend.n_mels, self._frames - 1), np.float32)
        self.logits: Tensor | None = None
        self.tokens = 0

    def push(self, samples: Tensor | np.ndarray) -> Tensor | None:
        """Add samples (n,) at the front end's rate, see :class:`StreamClassifier`."""
        row = torch.as_tensor(samples, dtype=torch.float32)
        if row.ndim != 1:
            raise ExportError(f"A stream takes samples (n,), got {tuple(row.shape)}.")
        return self._step(self._front_end.push(row))

    def finish(self) -> Tensor | None:
        """Add the frames whose windows reach beyond the last sample."""
        return self._step(self._front_end.finish())

    def _step(self, frames: Tensor) -> Tensor | None:
        waiting = np.concatenate([self._waiting, frames.numpy()], axis=1)
        count = waiting.shape[1] // self._frames
        for first in range(0, count * self._frames, self._frames):
            self._steps.step(waiting[:, first : first + self._frames])
        if count:
            self.tokens += count
            self.logits = torch.from_numpy(self._steps.logits[0].copy())
            if not torch.isfinite(self.logits).all():
                raise ExportError(f"{self.path.name} answers NaN: its input holds NaN or Inf.")
        self._waiting = waiting[:, count * self._frames :]
        return self.logits
