"""Optimiser with parameter groups by weight decay and learning rate, and its rate schedule."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from aum_edge.training.config import TrainConfig, from_table
from aum_edge.training.optim.freezing import parts_of

RECURRENCE = ("A_log", "A_b_log", "D", "D_b", "dt_bias", "cls_token", "pos_embed")


def make_optimizer(
    model: nn.Module, config: TrainConfig, beside: nn.Module | None = None
) -> Optimizer:
    """Adam or AdamW over what learns now or later; vectors and the recurrence are not decayed.

    Layers that learn at other rates get groups of their own; the backbone's rate comes first, and
    last what learns ``beside`` the model.

    Raises:
        RecipeError: If rates by layer are asked of a network whose parts are not known.
    """
    settings = config.optimizer
    factors = _factors(model, config)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad or config.freeze.epochs:
            exempt = parameter.ndim < 2 or name.rsplit(".", 1)[-1] in RECURRENCE
            key = (factors.get(id(parameter), 1.0), exempt)
            groups.setdefault(key, []).append(parameter)
    order = sorted(groups, key=lambda key: (abs(key[0] - 1), key[1]))
    rows: list[dict[str, Any]] = [
        {
            "params": groups[factor, exempt],
            "lr": config.lr * factor,
            "weight_decay": 0.0 if exempt else config.weight_decay,
        }
        for factor, exempt in order
    ]
    if beside is not None:
        rows.append({"params": list(beside.parameters()), "weight_decay": config.weight_decay})
    kind = AdamW if settings.name == "adamw" else Adam
    # One kernel a tensor instead of ten; Lightning clips no gradients of it in mixed precision.
    fused = config.precision == "32-true" and all(
        parameter.device.type == "cpu" for row in rows for parameter in row["params"]
    )
    return kind(rows, lr=config.lr, betas=settings.betas, eps=settings.eps, fused=fused)


def _factors(model: nn.Module, config: TrainConfig) -> dict[int, float]:
    """What the learning rate of a parameter is multiplied by, by the parameter's ``id``."""
    settings = config.optimizer
    if settings.head_lr_factor == 1 and settings.layer_decay == 1:
        return {}
    network = getattr(model, "backbone", model)
    parts = parts_of(network)
    top = len(parts.blocks) + 1
    factors = {
        key: settings.layer_decay ** (top - depth) for key, depth in parts.depth_of(network).items()
    }
    for parameter in parts.head.parameters():
        factors[id(parameter)] = settings.head_lr_factor
    return factors


def make_schedule(
    optimizer: Optimizer, config: TrainConfig, steps_by_epoch: Sequence[int]
) -> LambdaLR:
    """Linear warm-up times the configured curve, for epochs of these many steps."""
    return LambdaLR(optimizer, learning_rate(config, steps_by_epoch))


def learning_rate(config: TrainConfig, steps_by_epoch: Sequence[int]) -> Callable[[int], float]:
    """Learning-rate schedule: steps done to share of the peak rate."""
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
