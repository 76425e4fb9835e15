"""Batch norm statistics of weights that were averaged and never trained as they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from aum_edge.data.cache import ClipArrays
from aum_edge.models.classifier import AudioClassifier

MOST_BATCHES = 32
"""Some thousand clips are enough for precise statistics (Wu & Johnson, arXiv 2105.07576)."""


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Batch norms that keep running statistics and whose layer learns."""
    found = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return [
        norm
        for norm in found
        if norm.track_running_stats and (norm.weight is None or norm.weight.requires_grad)
    ]


@torch.no_grad()
def recompute_batch_norms(
    model: AudioClassifier, arrays: ClipArrays, batch_size: int, seed: int
) -> None:
    """Statistics of the training clips as they are, as the model will hear clips in use.

    Batches are drawn from a shuffled split: a corpus lies class by class on disk, and the
    variance within batches of one class is too small. Only batch norms that learn change; the
    rest of the model runs as in use. Source: Izmailov et al., arXiv 1803.05407, section 3.2.
    """
    norms = batch_norms(model.backbone)
    if not norms:
        return
    training, momenta = model.training, [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        # None: the mean over all batches instead of a decaying one.
        norm.momentum = None
        norm.train()
    device = next(model.parameters()).device
    rows = np.random.default_rng(seed).permutation(len(arrays))
    for start in range(0, len(rows), batch_size)[:MOST_BATCHES]:
        batch = np.sort(rows[start : start + batch_size])
        if len(batch) > 1:
            features = np.array(arrays.features[batch], dtype=np.float32)
            model(torch.from_numpy(features).unsqueeze(1).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)
