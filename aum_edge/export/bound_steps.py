"""Steps of a step graph that hand the state on without copying or looking it up by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime

from aum_edge.export.streaming import FRAMES_IN, LOGITS

Arrays = dict[str, np.ndarray]


class BoundSteps:
    """Inputs and outputs bound once: the state stands in two places, and steps go to and fro.

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
        here, there = (
            {name: np.zeros((1, *shape), np.float32) for name, shape in states.items()}
            for _ in range(2)
        )
        self._start = here
        self._ways = self._bound(here, there), self._bound(there, here)
        self._turn = 0

    def reset(self) -> None:
        """The state before the first frame: zeros."""
        self._turn = 0
        for state in self._start.values():
            state.fill(0)

    def step(self, frames: np.ndarray) -> None:
        """Hear frames (n_mels, k) and update ``logits``."""
        self._frames[0, 0] = frames
        self._session.run_with_iobinding(self._ways[self._turn])
        self._turn = 1 - self._turn

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
