"""Which rows make up the batches of an epoch, on this process and on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What an epoch of training is made of, beyond one batch size for all."""

    size_by_epoch: Mapping[int, int] = field(default_factory=dict)
    """Batch sizes from so many epochs done; none is the same one throughout."""
    weights: NDArray[np.float64] | None = None
    """(n,) Rows are drawn with replacement by these, as many as there are; None takes each once."""

    def size(self, epoch: int, otherwise: int) -> int:
        """The batch size once ``epoch`` epochs are done."""
        reached = [key for key in self.size_by_epoch if key <= epoch]
        return self.size_by_epoch[max(reached)] if reached else otherwise


@dataclass(frozen=True)
class Place:
    """One of several processes that share the batches."""

    epoch: int = 0
    rank: int = 0
    world: int = 1


class BatchOrder(Sampler[Rows]):
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
        place: Callable[[], Place],
        plan: BatchPlan | None = None,
    ) -> None:
        self._n = n
        self._batch_size = batch_size
        self._seed = seed
        self._place = place
        self._plan = plan or BatchPlan()

    def __len__(self) -> int:
        return self.batches(self._place())

    def batches(self, place: Place) -> int:
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
        rows = self._rows(place.epoch)
        for batch in range(self.batches(place)):
            shared = rows[batch * size * place.world : (batch + 1) * size * place.world]
            yield self._part(shared, place)

    def _size(self, place: Place) -> int:
        if self._seed is None:
            return self._batch_size
        return self._plan.size(place.epoch, self._batch_size)

    def _rows(self, epoch: int) -> Rows:
        rows = np.arange(self._n)
        if self._seed is None:
            return rows
        source = np.random.default_rng([self._seed, epoch])
        if self._plan.weights is None:
            return source.permutation(rows)
        chances = self._plan.weights / self._plan.weights.sum()
        return source.choice(rows, size=self._n, p=chances)

    def _part(self, shared: Rows, place: Place) -> Rows:
        """This process's rows of a batch of all."""
        if self._seed is None:
            each = -(-len(shared) // place.world)
            shared = np.resize(shared, each * place.world)
        each = len(shared) // place.world
        return shared[place.rank * each : (place.rank + 1) * each]
