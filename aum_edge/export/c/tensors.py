"""The weights of a student as the engine stores them: one array for each type.

Every layer becomes a matrix [inputs][outputs], so that the outputs of one input are neighbours and
an int8 weight's scale depends on its column alone. Nothing is padded: the bytes are those of the
model directory. Decay rates are stored as the rates themselves, not as their logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aum_edge.errors import ExportError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import stored_tensors

FLOAT, HALF, INT8 = 0, 1, 2
NUMPY = {FLOAT: np.float32, HALF: np.float16, INT8: np.int8}
LINE = 16
"""Floats of a cache line."""
KINDS = {torch.float32: FLOAT, torch.float16: HALF, torch.int8: INT8}
LIMIT = 2**31 - 1
"""Offsets in the generated file are 32 bit integers."""


@dataclass(frozen=True)
class Packed:
    """A matrix in the arrays: where it begins, and where the scales of its columns do."""

    rows: int = 0
    cols: int = 0
    at: int = 0
    scale_at: int = 0
    kind: int = FLOAT
    scale_kind: int = FLOAT

    @property
    def expanded(self) -> int:
        """Floats of whole cache lines to hold it expanded; none if it is stored as floats."""
        return 0 if self.kind == FLOAT else -(-self.rows * self.cols // LINE) * LINE

    def initializer(self) -> str:
        """The C initializer of a ``tensor_t``."""
        values = (self.rows, self.cols, self.at, self.scale_at, self.kind, self.scale_kind)
        return "{" + ", ".join(map(str, values)) + "}"


NOTHING = Packed()


def is_decay(name: str) -> bool:
    """Whether a tensor holds logarithms of decay rates."""
    return name.endswith("_log")


class Weights:
    """Arrays by type, and what has been packed into them.

    Tensors of whole cache lines come first, so that they begin at one.
    """

    def __init__(self, stored: dict[str, Tensor]) -> None:
        self.stored = stored
        self.taken: set[str] = set()
        self._at: dict[str, int] = {}
        sizes = dict.fromkeys((FLOAT, HALF, INT8), 0)
        for name in sorted(stored, key=lambda name: stored[name].numel() % LINE != 0):
            kind = self._kind(name)
            self._at[name] = sizes[kind]
            sizes[kind] += stored[name].numel()
            if sizes[kind] * 4 > LIMIT:
                raise ExportError(
                    f"The weights take more than {LIMIT:,} bytes, the C engine's offsets have "
                    "32 bit: export a smaller model."
                )
        self._arrays = {kind: np.zeros(size, NUMPY[kind]) for kind, size in sizes.items()}

    @classmethod
    def of(cls, model: AudioClassifier) -> Weights:
        """Nothing packed yet.

        Raises:
            ExportError: If the weights are too large for 32 bit offsets.
        """
        return cls(stored_tensors(model))

    def matrix(self, name: str) -> Packed:
        """A layer's weight (outputs, ..., inputs) with its axes reversed.

        An int8 weight takes the scales of its layer with it.
        """
        tensor = self._take(name)
        turned = tensor.permute(*reversed(range(tensor.ndim)))
        kind, scale = KINDS[tensor.dtype], NOTHING
        if kind == INT8:
            scale = self.vector(name.removesuffix("weight") + "scale")
        cols = turned.shape[-1]
        at = self._put(name, turned)
        return Packed(tensor.numel() // cols, cols, at, scale.at, kind, scale.kind)

    def vector(self, name: str) -> Packed:
        """A tensor as one row; nothing if the student has none of that name."""
        if name not in self.stored:
            return NOTHING
        tensor = self._take(name)
        kind = KINDS[tensor.dtype]
        return Packed(1, tensor.numel(), self._put(name, tensor), 0, kind)

    def rates(self, name: str, turned: bool) -> Packed:
        """-exp of logarithms, in float32 as torch computes it; ``turned`` reverses their axes."""
        values = -torch.exp(self._take(name).float())
        cols = len(values) if turned else values.numel()
        at = self._put(name, values.T if turned else values)
        return Packed(values.numel() // cols, cols, at)

    def _take(self, name: str) -> Tensor:
        """A stored tensor, noted as used.

        Raises:
            ExportError: If it holds a value that is not finite.
        """
        tensor = self.stored[name]
        if not torch.isfinite(tensor).all():
            raise ExportError(f"{name} holds a value that is not finite: train the model again.")
        self.taken.add(name)
        return tensor

    def _kind(self, name: str) -> int:
        """How a tensor is stored: decay rates as floats, whatever their logarithms are."""
        tensor = self.stored[name]
        if tensor.dtype not in KINDS:
            raise ExportError(f"The C engine has no weights of type {tensor.dtype} ({name}).")
        return FLOAT if is_decay(name) else KINDS[tensor.dtype]

    def _put(self, name: str, tensor: Tensor) -> int:
        """Append values to the array of their type; returns their offset."""
        at = self._at[name]
        flat = tensor.contiguous().flatten().numpy()
        self._arrays[self._kind(name)][at : at + len(flat)] = flat
        return at

    def array(self, kind: int) -> np.ndarray:
        """All values of one type, in order."""
        return self._arrays[kind]

    @property
    def bytes(self) -> int:
        """Bytes of everything packed."""
        return sum(array.nbytes for array in self._arrays.values())
