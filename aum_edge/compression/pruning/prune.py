"""Structural pruning of a Mamba classifier to a MAC and byte target.

Sources: Molchanov et al., arXiv 1906.10771 (importance); Fang et al., arXiv 2301.12900 (groups).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.pruning.cost import Cost, NetworkCosts, model_cost, sizes_of, unlimited
from aum_edge.compression.pruning.greedy import Goal, GreedySearch, Price, Space
from aum_edge.compression.pruning.importance import Batch, unit_scores
from aum_edge.compression.pruning.sensitivity import calibrated, cut, cuttable
from aum_edge.compression.pruning.slicing import prunable
from aum_edge.core.progress import Progress
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.ssm.mixers.groups import Key

log = logging.getLogger(__name__)


def prune(
    model: AudioClassifier,
    config: PruneConfig,
    batches: Iterable[Batch],
    progress: Progress | None = None,
) -> AudioClassifier:
    """A smaller copy of the model within both limits, with the units that matter most.

    Each step measures importances anew; its limits lie evenly in ratio up to the target. There is
    no recovery between them: the prune stage has it.

    Args:
        model: a float classifier; left alone, and copied if within the limits already.
        config: limits, dimensions and importance.
        batches: (features (B, 1, n_mels, n_frames), labels (B,)) of training clips; none will do
            for magnitude.
        progress: told (steps done, steps, what was reached).

    Cost: one forward and backward pass of every batch a step, and a forward one for each kind of
    group.

    Raises:
        CompressionError: limits out of reach, no Mamba blocks, quantized, or no batches.
    """
    start = model_cost(model) if not model.quantization else Cost(0, 0)
    target = target_of(config, start)
    price = check_prunable(model, config, target)
    if start.within(target):
        log.info("Nothing to prune: %s is within the target.", text(start))
        return copy.deepcopy(model)
    schedule = BudgetSchedule(start=start, target=target, first=0.0, last=1.0, price=price)
    small = prune_along(model, config, list(batches), schedule, progress)
    log.info("Pruned from %s to %s.", text(start), text(model_cost(small)))
    step = lineage(model, small, config, target)
    return model.with_backbone(small.backbone, step)


@dataclass(frozen=True, kw_only=True)
class BudgetSchedule:
    """Cost limits between the unpruned cost and the target, by shares in ratio.

    ``first`` 0 and ``last`` 1 is all of it; 0 and 0.5 ends at the geometric mean. ``price`` is
    that of the unpruned model, and holds for every smaller form of it.
    """

    start: Cost
    target: Cost
    first: float
    last: float
    price: Price

    def limits(self, share: float) -> Cost:
        """The limits at a share of this part: in equal ratios, and no looser than the target."""
        share = self.first + (self.last - self.first) * share

        def part(first: float, last: float) -> float:
            return last if last >= first or share >= 1 else first * (last / first) ** share

        return Cost(
            part(self.start.macs, self.target.macs), part(self.start.bytes, self.target.bytes)
        )


def prune_along(
    model: AudioClassifier,
    config: PruneConfig,
    clips: Sequence[Batch],
    schedule: BudgetSchedule,
    progress: Progress | None = None,
) -> AudioClassifier:
    """Prune in several steps to the schedule's end; the model's lineage stays.

    Raises:
        CompressionError: the limits there are out of reach.
    """
    steps = max(1, round(config.steps * (schedule.last - schedule.first)))
    for step in range(1, steps + 1):
        goal = Goal(now=schedule.limits(step / steps), finally_=schedule.target)
        model = _step(model, config, clips, goal, schedule.price)
        if progress is not None:
            progress(step, steps, text(model_cost(model)))
    reached = model_cost(model)
    if not reached.within(schedule.limits(1)):
        raise CompressionError(
            f"Pruning stopped at {text(reached)}, above {text(schedule.limits(1))}."
        )
    return model


def target_of(config: PruneConfig, start: Cost) -> Cost:
    """Both limits in MACs and bytes, for a model that costs ``start``."""

    def limit(value: float | None, share: float | None, whole: float) -> float:
        return min(unlimited(value), unlimited(share if share is None else share * whole))

    return Cost(
        limit(config.max_macs, config.macs_share, start.macs),
        limit(config.max_bytes, config.bytes_share, start.bytes),
    )


def check_prunable(model: AudioClassifier, config: PruneConfig, target: Cost) -> NetworkCosts:
    """Refuse a model that cannot be cut at all, or not to the target; what any cut would cost.

    Raises:
        CompressionError: with the smallest reachable MACs and bytes.
    """
    if model.quantization:
        raise CompressionError("Prune before quantizing: this model has int8 weights already.")
    prunable(model.backbone)
    price = NetworkCosts(model)
    smallest = smallest_of(model, config, price, target)
    if not smallest.within(target):
        raise CompressionError(
            f"Pruning cannot reach {text(target)}: with {', '.join(config.dimensions)} the "
            f"smallest reachable is {text(smallest)}. Raise the limits or take a smaller model."
        )
    return price


def smallest_of(model: AudioClassifier, config: PruneConfig, price: Price, target: Cost) -> Cost:
    """The least MACs and bytes that cutting the allowed dimensions can reach, both at once.

    Where blocks may go and are unlike, it is the last block that comes nearest to the target.
    """
    groups = cuttable(model, config.dimensions)
    sizes = sizes_of(prunable(model.backbone).pruning_groups())
    sizes |= {key: group.minimum for key, group in groups.items() if key[1] != "block"}
    count = len(prunable(model.backbone).mixer_blocks)
    if (0, "block") not in groups:
        return price(sizes, range(count))
    alone = [price(sizes, [index]) for index in range(count)]
    return min(alone, key=lambda cost: max(cost.macs / target.macs, cost.bytes / target.bytes))


def _step(
    model: AudioClassifier,
    config: PruneConfig,
    clips: Sequence[Batch],
    goal: Goal,
    price: Price,
) -> AudioClassifier:
    """Measure, search and cut once."""
    if model_cost(model).within(goal.now):
        return model
    backbone = prunable(model.backbone)
    groups = cuttable(model, config.dimensions)
    scores = unit_scores(model, groups, config.importance, clips)
    everything = backbone.pruning_groups()
    minimum: dict[Key, int] = {key: group.minimum for key, group in everything.items()}
    space = Space(
        sizes=sizes_of(everything),
        scores=calibrated(model, groups, scores, clips),
        minimum=minimum,
        blocks=len(backbone.mixer_blocks),
        shared=backbone.shared_dimensions,
    )
    search = GreedySearch(space, price)
    search.run(goal)
    return cut(model, search.removal)


def lineage(
    before: AudioClassifier, after: AudioClassifier, config: PruneConfig, target: Cost
) -> dict[str, Any]:
    """What the pruned model's lineage says of the step, as plain JSON values."""
    found = {"max_macs": target.macs, "max_bytes": target.bytes}
    limits = {name: None if value == unlimited(None) else value for name, value in found.items()}
    return {
        "step": "prune",
        "importance": config.importance,
        **limits,
        "before": summary(before),
        "after": summary(after),
    }


def summary(model: AudioClassifier) -> dict[str, Any]:
    """Cost, and the sizes of every group (inner counts channels)."""
    cost = model_cost(model)
    backbone = prunable(model.backbone)
    sizes: dict[str, list[int]] = {}
    for (_, dimension), group in backbone.pruning_groups().items():
        sizes.setdefault(dimension, []).append(group.units * group.width)
    blocks = len(backbone.mixer_blocks)
    return {
        "macs": round(cost.macs),
        "int8_bytes": round(cost.bytes),
        "block": blocks,
        **sizes,
    }


def text(cost: Cost) -> str:
    """A cost in words; what is unlimited is left out."""
    parts = []
    if cost.macs != unlimited(None):
        parts.append(f"{cost.macs:,.0f} MACs")
    if cost.bytes != unlimited(None):
        parts.append(f"{cost.bytes:,.0f} bytes")
    return " and ".join(parts)
