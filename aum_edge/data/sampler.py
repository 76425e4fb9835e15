"""Sampler of whole batches: which rows an epoch's batches hold, on each of several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from aum_edge.data.features.cache import ClipArrays
from aum_edge.data.features.npy import Rows
from aum_edge.errors import DataError

Weights = NDArray[np.float64]
NUMERATOR, OFFSET = 1000.0, 0.01
"""Of a balanced weight: see :func:`balanced_weights`."""


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What an epoch of training is made of, beyond one batch size for all."""

    size_by_epoch: Mapping[int, int] = field(default_factory=dict)
    """Batch sizes from so many epochs done; none is the same one throughout."""
    weights: Weights | None = None
    """(n,) Rows are drawn with replacement by these, as many as there are; None takes each once."""
    repeat: int = 0
    """Epoch e has the batches of epoch e modulo this; 0 gives every epoch its own."""

    def size(self, epoch: int, otherwise: int) -> int:
        """The batch size once ``epoch`` epochs are done."""
        reached = [key for key in self.size_by_epoch if key <= epoch]
        return self.size_by_epoch[max(reached)] if reached else otherwise

    def of(self, epoch: int) -> int:
        """The epoch whose batches come in ``epoch``."""
        return epoch % self.repeat if self.repeat else epoch


@dataclass(frozen=True)
class ProcessGroupPosition:
    """One of several processes that share the batches."""

    epoch: int = 0
    rank: int = 0
    world: int = 1


class EpochSampler(Sampler[Rows]):
    """Row numbers of each batch; shuffled by (seed, epoch), or in order when ``seed`` is None.

    A resumed run sees the batches that the uninterrupted one would have seen, because nothing
    but the epoch's number goes into the shuffle.

    Several processes take equal parts of every batch of ``world * batch_size`` rows. All have as
    many batches, of the same size: in training the last one leaves out what cannot be shared out
    evenly, fewer rows than there are processes; in order, its first rows come again to fill it.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int | None,
        place: Callable[[], ProcessGroupPosition],
        plan: BatchPlan | None = None,
    ) -> None:
        self._n = n
        self._batch_size = batch_size
        self._seed = seed
        self._place = place
        self._plan = plan or BatchPlan()

    def __len__(self) -> int:
        return self.batches(self._place())

    def batches(self, place: ProcessGroupPosition) -> int:
        """Batches of each process in an epoch."""
        whole, rest = divmod(self._n, self._size(place) * place.world)
        if self._seed is None:
            return whole + (1 if rest else 0)
        # Batch statistics of one clip do not exist, so training leaves such a batch out.
        left = rest // place.world
        return whole + (1 if left > 1 or (left == 1 and not whole) else 0)

    def __iter__(self) -> Iterator[Rows]:
        place = self._place()
        size = self._size(place)
        rows = self._rows(self._plan.of(place.epoch))
        for batch in range(self.batches(place)):
            shared = rows[batch * size * place.world : (batch + 1) * size * place.world]
            yield self._part(shared, place)

    def _size(self, place: ProcessGroupPosition) -> int:
        if self._seed is None:
            return self._batch_size
        return self._plan.size(self._plan.of(place.epoch), self._batch_size)

    def _rows(self, epoch: int) -> Rows:
        rows = np.arange(self._n)
        if self._seed is None:
            return rows
        source = np.random.default_rng([self._seed, epoch])
        if self._plan.weights is None:
            return source.permutation(rows)
        chances = self._plan.weights / self._plan.weights.sum()
        return source.choice(rows, size=self._n, p=chances)

    def _part(self, shared: Rows, place: ProcessGroupPosition) -> Rows:
        """This process's rows of a batch of all."""
        if self._seed is None:
            each = -(-len(shared) // place.world)
            shared = np.resize(shared, each * place.world)
        each = len(shared) // place.world
        return shared[place.rank * each : (place.rank + 1) * each]


def balanced_weights(arrays: ClipArrays) -> Weights:
    """Of each row (n,), the sum over its labels of 1000 / (rows with that label + 0.01).

    Source: the weight files of the AuM recipes.
    """
    if arrays.targets is None:
        counts = np.bincount(arrays.labels)
        return np.asarray((NUMERATOR / (counts + OFFSET))[arrays.labels], dtype=np.float64)
    targets = np.asarray(arrays.targets, dtype=np.float64)
    return np.asarray(targets @ (NUMERATOR / (targets.sum(axis=0) + OFFSET)), dtype=np.float64)


def read_weights(path: Path, rows: int) -> Weights:
    """One number a line, a line for each of ``rows`` training rows.

    Raises:
        DataError: A missing file, something that is no number of at least 0, another row count,
            only zeros.
    """
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The weight file {path} cannot be read: {error}.") from error
    weights = np.array([_number(text, path, line + 1) for line, text in enumerate(lines)])
    if len(weights) != rows:
        raise DataError(
            f"The weight file {path} has {len(weights)} numbers, the training split has {rows} "
            "rows: give one for each, in the manifest's order."
        )
    if not weights.sum() > 0:
        raise DataError(f"The weight file {path} holds only zeros: no row could be drawn.")
    return weights


def _number(text: str, path: Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise DataError(
            f"The weight file {path} must hold a number of at least 0 in every line, got '{text}' "
            f"as number {line}."
        )
    return value
