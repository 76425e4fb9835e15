"""Importance of units: by loss (Taylor), by activation energy or by weight magnitude.

All three measure a unit's whole effect, not the size of one tensor: a state's decay (A_log), a
channel's skip (D) and the norm after it are part of what its gate turns down.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.compression.pruning.activation import activation_scores
from aum_edge.compression.pruning.config import Importance
from aum_edge.compression.pruning.gates import gated, without_directions
from aum_edge.compression.pruning.magnitude import magnitude_scores
from aum_edge.compression.pruning.slicing import prunable
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.ssm.mixers.groups import Group, Key

Batch = tuple[Tensor, Tensor]
"""Features (B, 1, n_mels, n_frames) and labels (B,), or (B, C) where clips have several."""
Scores = dict[Key, Tensor]


def unit_scores(
    model: AudioClassifier,
    groups: Mapping[Key, Group],
    kind: Importance,
    batches: Sequence[Batch],
) -> Scores:
    """Scores (units,) of every group given; units that cannot go score infinity.

    taylor: half the mean over clips of (dloss/dgate)², what the loss rises by if the gate closes,
    to second order with the Fisher information for a curvature (Theis et al., arXiv 1801.05787;
    gates: Molchanov et al., arXiv 1906.10771). activation: see activation.py. magnitude: see
    magnitude.py; needs no batches.

    Raises:
        CompressionError: taylor or activation without batches, or a loss that is not finite.
    """
    work = copy.deepcopy(model).eval()
    if kind == "magnitude":
        scores = magnitude_scores(prunable(work.backbone), groups)
    else:
        if not batches:
            raise CompressionError(
                f"{kind.capitalize()} importance needs at least one batch of (features, labels), "
                "got none; give clips or choose importance: magnitude."
            )
        measure = _taylor if kind == "taylor" else activation_scores
        scores = measure(work, groups, batches)
    for key, group in groups.items():
        scores[key] = scores[key].double().cpu()
        scores[key][sorted(group.fixed)] = torch.inf
    return scores


def clip_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Loss of every clip (B,): cross entropy, or binary where clips have several labels."""
    if targets.ndim == 2:
        rows = F.binary_cross_entropy_with_logits(logits, targets.to(logits), reduction="none")
        return rows.mean(dim=1)
    return F.cross_entropy(logits, targets, reduction="none")


def _taylor(
    model: AudioClassifier, groups: Mapping[Key, Group], batches: Sequence[Batch]
) -> Scores:
    """One forward and backward pass a batch."""
    backbone = prunable(model.backbone)
    example = next(backbone.parameters())
    totals = {key: example.new_zeros(group.units) for key, group in groups.items()}
    without = without_directions(backbone, groups)
    clips = 0
    for index, (inputs, targets) in enumerate(batches):
        gates = {
            key: example.new_ones(len(inputs), group.units).requires_grad_()
            for key, group in groups.items()
        }
        with torch.enable_grad(), gated(backbone, groups, gates, without):
            logits = model(inputs.to(example))
            loss = clip_losses(logits, targets.to(example.device)).sum()
        if not torch.isfinite(loss):
            raise CompressionError(
                f"The loss on importance batch {index} is {loss.item()}; check the clips given."
            )
        slopes = torch.autograd.grad(loss, list(gates.values()))
        for key, slope in zip(gates, slopes, strict=True):
            totals[key] += 0.5 * slope.detach().square().sum(dim=0)
        clips += len(inputs)
    return {key: total / clips for key, total in totals.items()}
