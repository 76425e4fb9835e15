"""The predictions of one validation, gathered over batches and processes."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from aum_edge.training.config import Loss
from aum_edge.training.losses import as_targets, hard_loss
from aum_edge.training.metrics.ranking import ranking_scores, single_label_scores


class Predictions:
    """Logits and truth of every row, each counted once however often it was seen.

    Processes see as many batches of the same sizes, some rows twice (see
    :class:`~aum_edge.data.sampler.EpochSampler`), so row numbers are gathered as well. Every
    process ends with the same numbers.
    """

    def __init__(self) -> None:
        self._index: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._truth: list[Tensor] = []

    def add(self, index: Tensor, logits: Tensor, truth: Tensor) -> None:
        """One batch: row numbers (B,), logits (B, C), labels (B,) or targets (B, C)."""
        self._index.append(index)
        self._logits.append(logits.detach().float())
        self._truth.append(truth)

    def scores(self, kind: Loss) -> dict[str, float]:
        """``loss`` and every metric that exists for these labels, from logits activated once."""
        index, logits, truth = (
            gathered(torch.cat(parts)) for parts in (self._index, self._logits, self._truth)
        )
        _, first = np.unique(index.cpu().numpy(), return_index=True)
        return score_rows(logits.cpu()[first], truth.cpu()[first], kind)


def score_rows(logits: Tensor, truth: Tensor, kind: Loss) -> dict[str, float]:
    """The same numbers of given logits (n, C) and labels (n,) or targets (n, C)."""
    loss = float(hard_loss(logits, as_targets(truth, logits.shape[1]), kind))
    activated = torch.sigmoid if kind == "bce" else _softmax
    probabilities = activated(logits.double()).numpy()
    if truth.ndim == 1:
        return {"loss": loss, **single_label_scores(probabilities, truth.numpy())}
    return {"loss": loss, **ranking_scores(probabilities, truth.double().numpy())}


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, one after the other; each has as many."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def _softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1)
