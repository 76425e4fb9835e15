"""The learning rate, step by step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from aum_edge.training.config import TrainConfig, from_table


def make_schedule(
    optimizer: Optimizer, config: TrainConfig, steps_by_epoch: Sequence[int]
) -> LambdaLR:
    """Linear warm-up times the configured curve, for epochs of these many steps."""
    return LambdaLR(optimizer, learning_rate(config, steps_by_epoch))


def learning_rate(config: TrainConfig, steps_by_epoch: Sequence[int]) -> Callable[[int], float]:
    """Steps done to share of the peak learning rate."""
    ends = list(accumulate(steps_by_epoch))
    warm = config.schedule.warmup_steps or max(1, round(config.warmup * ends[-1]))

    def factor(step: int) -> float:
        if config.schedule.kind != "cosine":
            rising = min(1.0, (step + 1) / warm)
            return rising * _by_epoch(config, bisect_right(ends, step))
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, ends[-1] - warm))
        return config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * done))

    return factor


def _by_epoch(config: TrainConfig, epoch: int) -> float:
    """Share of the peak once ``epoch`` epochs are done."""
    schedule = config.schedule
    if schedule.kind == "table":
        return from_table(schedule.table, epoch, 1.0)
    if schedule.kind == "step" and epoch >= schedule.start:
        return schedule.factor ** ((epoch - schedule.start) // schedule.every + 1)
    return 1.0
