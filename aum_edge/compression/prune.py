"""Structural pruning of a Mamba classifier to a MAC and byte target.

Sources: Molchanov et al., arXiv 1906.10771 (importance); Fang et al., arXiv 2301.12900 (groups).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from aum_edge.compression.config import Dimension, PruneConfig
from aum_edge.compression.cost import BlockCosts, Cost, Sizes, model_cost, sizes_of, unlimited
from aum_edge.compression.groups import Group
from aum_edge.compression.importance import Batch, parameter_scores, unit_scores
from aum_edge.compression.search import Goal, Search
from aum_edge.compression.slicing import blocks_of, mamba_of, mixer_groups, shrink
from aum_edge.errors import CompressionError
from aum_edge.models.audio_mamba import AudioMamba
from aum_edge.models.classifier import AudioClassifier

log = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]
MIN_BLOCKS = 1


def prune(
    model: AudioClassifier,
    config: PruneConfig,
    batches: Iterable[Batch],
    progress: Progress | None = None,
) -> AudioClassifier:
    """A smaller copy of the model within both limits, with the weights that matter most.

    Each round measures importances anew; its limits lie evenly in ratio up to the target.

    Args:
        model: a float classifier; left alone, and copied if within the limits already.
        config: limits, dimensions and importance.
        batches: (features (B, 1, n_mels, n_frames), labels (B,)) of training clips, for taylor.
        progress: told (rounds done, rounds, what was reached).

    Cost: one forward and backward pass of every batch a round (taylor).

    Raises:
        CompressionError: limits out of reach, no Mamba blocks, quantized, or no batches.
    """
    if model.quantization:
        raise CompressionError("Prune before quantizing: this model has int8 weights already.")
    start = model_cost(model)
    target = Cost(unlimited(config.max_macs), unlimited(config.max_bytes))
    if start.within(target):
        log.info("Nothing to prune: %s is within the target.", _text(start))
        return copy.deepcopy(model)
    price = BlockCosts(model)
    _check_reachable(model, config, price, start, target)
    work, reached, clips = model, start, list(batches)
    for step in range(1, config.steps + 1):
        goal = Goal(now=_between(start, target, step / config.steps), finally_=target)
        work, reached = _round(work, config, clips, price, goal)
        if progress is not None:
            progress(step, config.steps, _text(reached))
    if not reached.within(target):
        raise CompressionError(f"Pruning stopped at {_text(reached)}, above {_text(target)}.")
    log.info("Pruned from %s to %s.", _text(start), _text(reached))
    return model.with_backbone(work.backbone, _lineage(model, work, config, start, reached))


def _round(
    work: AudioClassifier,
    config: PruneConfig,
    clips: Sequence[Batch],
    price: BlockCosts,
    goal: Goal,
) -> tuple[AudioClassifier, Cost]:
    total = model_cost(work)
    if total.within(goal.now):
        return work, total
    backbone = mamba_of(work.backbone)
    groups = mixer_groups(backbone)
    scores = _scores(work, groups, config, clips)
    search = Search(sizes_of(groups), scores, _minimum(groups), price, total)
    search.run(goal)
    small = work.with_backbone(shrink(backbone, search.removal), {})
    return small, model_cost(small)


def _scores(
    model: AudioClassifier,
    groups: list[dict[Dimension, Group]],
    config: PruneConfig,
    clips: Sequence[Batch],
) -> dict[tuple[int, Dimension], Tensor]:
    backbone = mamba_of(model.backbone)
    weights = parameter_scores(model, config.importance, clips)
    paths = {id(module): name for name, module in model.named_modules()}
    scores: dict[tuple[int, Dimension], Tensor] = {}
    for index, block in enumerate(blocks_of(backbone)):
        mixer = block.get_submodule("mixer")
        prefix = f"{paths[id(mixer)]}."
        for dimension, group in groups[index].items():
            if dimension in config.dimensions:
                scores[index, dimension] = unit_scores(mixer, group, weights, prefix)
        if _may_lose_blocks(model, config):
            own = [v.double().sum().cpu() for n, v in weights.items() if n.startswith(prefix)]
            scores[index, "block"] = torch.stack(own).sum().reshape(1)
    return scores


def _may_lose_blocks(model: AudioClassifier, config: PruneConfig) -> bool:
    """Not where layers come in pairs: there every pair doubles the residual of the ones before."""
    backbone = model.backbone
    pairs = isinstance(backbone, AudioMamba) and backbone.config.layer_pairs
    return "block" in config.dimensions and not pairs


def _minimum(groups: list[dict[Dimension, Group]]) -> Sizes:
    minimum: Sizes = {"block": MIN_BLOCKS}
    for block in groups:
        minimum |= {dimension: group.minimum for dimension, group in block.items()}
    return minimum


def _check_reachable(
    model: AudioClassifier, config: PruneConfig, price: BlockCosts, start: Cost, target: Cost
) -> None:
    groups = mixer_groups(mamba_of(model.backbone))
    smallest, least = start, []
    for block, sizes in zip(groups, sizes_of(groups), strict=True):
        small = {
            dimension: min(group.minimum, group.units)
            if dimension in config.dimensions
            else group.units
            for dimension, group in block.items()
        }
        smallest = smallest - price(sizes)
        least.append(price(small))
    if _may_lose_blocks(model, config):
        least = [Cost(min(c.macs for c in least), min(c.bytes for c in least))]
    smallest = sum(least, smallest)
    if not smallest.within(target):
        raise CompressionError(
            f"Pruning cannot reach {_text(target)}: with {', '.join(config.dimensions)} the "
            f"smallest reachable is {_text(smallest)}. Raise the limits or take a smaller model."
        )


def _between(start: Cost, target: Cost, share: float) -> Cost:
    """The limits of a round: from the start to the target in equal ratios, and no looser."""

    def part(first: float, last: float) -> float:
        return last if last >= first else first * (last / first) ** share

    if share == 1:
        return target
    return Cost(part(start.macs, target.macs), part(start.bytes, target.bytes))


def _lineage(
    before: AudioClassifier, after: AudioClassifier, config: PruneConfig, start: Cost, end: Cost
) -> dict[str, Any]:
    return {
        "step": "prune",
        "importance": config.importance,
        "max_macs": config.max_macs,
        "max_bytes": config.max_bytes,
        "before": _summary(before, start),
        "after": _summary(after, end),
    }


def _summary(model: AudioClassifier, cost: Cost) -> dict[str, Any]:
    """Cost, and the sizes of every block (inner counts channels)."""
    blocks: dict[str, list[int]] = {}
    for groups in mixer_groups(mamba_of(model.backbone)):
        for dimension, group in groups.items():
            blocks.setdefault(dimension, []).append(group.units * group.width)
    return {"macs": round(cost.macs), "int8_bytes": round(cost.bytes), **blocks}


def _text(cost: Cost) -> str:
    parts = []
    if cost.macs != float("inf"):
        parts.append(f"{cost.macs:,.0f} MACs")
    if cost.bytes != float("inf"):
        parts.append(f"{cost.bytes:,.0f} bytes")
    return " and ".join(parts)
