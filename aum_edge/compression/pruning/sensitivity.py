"""Pruning sensitivity: the loss as one kind of group is cut alone, and calibrated scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from aum_edge.compression.pruning.config import ALL, Importance
from aum_edge.compression.pruning.cost import model_cost
from aum_edge.compression.pruning.importance import Batch, Scores, clip_losses, unit_scores
from aum_edge.compression.pruning.slicing import Removal, prunable, shrink
from aum_edge.core.progress import Progress
from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.models.classifier import AudioClassifier
from aum_edge.ssm.mixers.groups import Dimension, Gate, Group, Key

SHARES = tuple(share / 10 for share in range(1, 10))
TRIAL_SHARE = 0.25
LEAST_RISE = 1e-4
"""Nats; a cut that does no harm on the clips given is taken to do at least this much."""


def cuttable(model: AudioClassifier, dimensions: Sequence[Dimension]) -> dict[Key, Group]:
    """The groups of the named dimensions, blocks included, that have anything to lose.

    Blocks stay where layers come in pairs: there every pair doubles the residual of those before.
    """
    backbone = prunable(model.backbone)
    groups = {
        key: group
        for key, group in backbone.pruning_groups().items()
        if key[1] in dimensions and group.units > group.minimum
    }
    count = len(backbone.mixer_blocks)
    if "block" in dimensions and not backbone.paired and count > 1:
        groups |= {(index, "block"): _block_group(backbone, index) for index in range(count)}
    return groups


@torch.no_grad()
def loss_and_accuracy(model: AudioClassifier, batches: Sequence[Batch]) -> tuple[float, float]:
    """Mean loss in nats, and share of clips of which all labels are right."""
    training = model.training
    model.eval()
    example = next(model.parameters())
    loss, right, clips = 0.0, 0, 0
    for inputs, targets in batches:
        logits, targets = model(inputs.to(example)), targets.to(example.device)
        loss += float(clip_losses(logits, targets).sum())
        many = targets.ndim == 2
        same = ((logits > 0) == (targets > 0.5)).all(dim=1) if many else logits.argmax(1) == targets
        right += int(same.sum())
        clips += len(inputs)
    model.train(training)
    return loss / clips, right / clips


def least(
    groups: Mapping[Key, Group], scores: Scores, dimension: Dimension, share: float
) -> Removal:
    """The removal of the least ``share`` of all units of one dimension; at least one unit."""
    places = [key for key in groups if key[1] == dimension]
    if dimension == "block":
        order = sorted(places, key=lambda key: float(scores[key][0]))
        count = min(max(1, round(share * len(order))), len(order) - 1)
        return Removal(blocks=frozenset(key[0] for key in order[:count]))
    free = {key: _free(groups[key]) for key in places}
    ranked = sorted(
        ((float(value), key, unit) for key in places for unit, value in enumerate(scores[key])),
        key=lambda entry: entry[0],
    )
    total = sum(groups[key].units for key in places)
    left = max(1, round(share * total))
    taken: dict[Key, set[int]] = {}
    for _, key, unit in ranked:
        if left and free[key] and unit not in groups[key].fixed:
            taken.setdefault(key, set()).add(unit)
            free[key] -= 1
            left -= 1
    return Removal(units={key: frozenset(units) for key, units in taken.items()})


def _free(group: Group) -> int:
    return min(group.units - group.minimum, group.units - len(group.fixed))


def calibrated(
    model: AudioClassifier,
    groups: Mapping[Key, Group],
    scores: Scores,
    batches: Sequence[Batch],
) -> Scores:
    """The same scores in nats: each kind's are scaled to what cutting a part of it really costs.

    Scores order the units of one kind well; a block's and a rank's are further apart than any one
    formula tells. So a quarter of each kind is cut for trial, the least first, and the rise of the
    loss is divided among what was cut. Without batches the scores stay what they are.
    """
    if not batches:
        return dict(scores)
    base, _ = loss_and_accuracy(model, batches)
    rates: dict[Dimension, float] = {}
    for dimension in dict.fromkeys(key[1] for key in groups):
        removal = least(groups, scores, dimension, TRIAL_SHARE)
        gone = [(key, unit) for key, units in removal.units.items() for unit in units]
        gone += [((index, "block"), 0) for index in removal.blocks]
        predicted = sum(float(scores[key][unit]) for key, unit in gone)
        loss, _ = loss_and_accuracy(cut(model, removal), batches)
        rates[dimension] = max(loss - base, LEAST_RISE) / max(predicted, 1e-12)
    return {key: values * rates[key[1]] for key, values in scores.items()}


def cut(model: AudioClassifier, removal: Removal) -> AudioClassifier:
    """The classifier around the smaller network; its lineage stays."""
    return model.with_backbone(shrink(prunable(model.backbone), removal), {})


def sensitivity(
    model: AudioClassifier,
    batches: Sequence[Batch],
    *,
    importance: Importance = "taylor",
    dimensions: Sequence[Dimension] = ALL,
    shares: Sequence[float] = SHARES,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """What the clips given lose as each kind of group is cut alone, the least units first.

    One row for each dimension the model has and each share of its units, and one uncut row with
    dimension "none": ``{dimension, share, units, removed, macs, int8_bytes, loss, accuracy}``.
    A share that would go below a smallest size is cut as far as allowed, which ``removed`` tells.
    """
    groups = cuttable(model, dimensions)
    scores = unit_scores(model, groups, importance, batches)
    kinds = list(dict.fromkeys(key[1] for key in groups))
    rows = [_row(model, "none", 0.0, 0, 0, batches)]
    for place, dimension in enumerate(kinds):
        units = sum(group.units for key, group in groups.items() if key[1] == dimension)
        for share in shares:
            removal = least(groups, scores, dimension, share)
            gone = len(removal.blocks) + sum(len(found) for found in removal.units.values())
            rows.append(_row(cut(model, removal), dimension, share, units, gone, batches))
        if progress is not None:
            progress(place + 1, len(kinds), f"sensitivity to {dimension}")
    return rows


def _row(
    model: AudioClassifier,
    dimension: str,
    share: float,
    units: int,
    removed: int,
    batches: Sequence[Batch],
) -> dict[str, Any]:
    cost = model_cost(model)
    loss, accuracy = loss_and_accuracy(model, batches)
    return {
        "dimension": dimension,
        "share": share,
        "units": units,
        "removed": removed,
        "macs": round(cost.macs),
        "int8_bytes": round(cost.bytes),
        "loss": loss,
        "accuracy": accuracy,
    }


def _block_group(backbone: PrunableBackbone, index: int) -> Group:
    """A whole block as a group of one unit, for its gate: what the block adds is turned down."""
    name = f"{backbone.blocks_name}.{index}.mixer"
    gate = Gate(module=name, side="out", spans=((0, backbone.config.d_model),))
    return Group(dimension="block", units=1, minimum=0, gates=(gate,))
