"""How much each unit of a group matters to the loss, or weighs."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.compression.groups import Group
from aum_edge.errors import CompressionError

Batch = tuple[Tensor, Tensor]


def parameter_scores(
    model: nn.Module, kind: Literal["magnitude", "taylor"], batches: Sequence[Batch]
) -> dict[str, Tensor]:
    """A score for every single weight, by parameter name.

    magnitude: the squared weight of projections and convolutions. Decay rates, biases and norms
    score 0: their size says nothing about their use.
    taylor: |weight * gradient|, the first-order change of the loss if the weight were zero,
    averaged over the batches (Molchanov et al., arXiv 1906.10771). Of every parameter, the decay
    rates included.

    Raises:
        CompressionError: taylor without batches, or with a loss that is not finite.
    """
    if kind == "taylor":
        return _taylor(model, batches)
    weights = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    }
    return {
        name: p.detach().square() if name in weights else torch.zeros_like(p)
        for name, p in model.named_parameters()
    }


def _taylor(model: nn.Module, batches: Iterable[Batch]) -> dict[str, Tensor]:
    work = copy.deepcopy(model).eval().requires_grad_(True)
    names, parameters = zip(*work.named_parameters(), strict=True)
    totals = [torch.zeros_like(p) for p in parameters]
    count = 0
    for inputs, targets in batches:
        device = parameters[0].device
        loss = F.cross_entropy(work(inputs.to(device)), targets.to(device))
        if not torch.isfinite(loss):
            raise CompressionError(
                f"The loss on importance batch {count} is {loss.item()}; check the clips given."
            )
        grads = torch.autograd.grad(loss, parameters, allow_unused=True)
        for total, p, grad in zip(totals, parameters, grads, strict=True):
            if grad is not None:
                total += (p.detach() * grad).abs()
        count += 1
    if not count:
        raise CompressionError(
            "Taylor importance needs at least one batch of (features, labels), got none; "
            "give clips or choose importance: magnitude."
        )
    return {name: total / count for name, total in zip(names, totals, strict=True)}


def unit_scores(mixer: nn.Module, group: Group, scores: dict[str, Tensor], prefix: str) -> Tensor:
    """The scores of a group's units (units,): the sum over every slice tied to a unit.

    ``prefix`` is the mixer's module path with a final dot, as in the names of ``scores``.
    """
    total = torch.zeros(group.units, dtype=torch.float64)
    for member in group.members:
        for name, axis in member.tensors(mixer):
            table = scores[prefix + name].double().cpu()
            rows = table.movedim(axis, 0).reshape(table.shape[axis], -1).sum(dim=1)
            for start, width in member.spans:
                total += rows[start : start + group.units * width].reshape(-1, width).sum(1)
    return total
