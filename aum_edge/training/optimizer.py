"""AdamW with weight decay where it belongs, and the learning-rate curve."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from aum_edge.training.config import TrainConfig

RECURRENCE = ("A_log", "A_b_log", "D", "D_b", "dt_bias", "cls_token", "pos_embed")


def make_optimizer(model: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW over the trainable parameters; vectors and the recurrence are not decayed."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            exempt = parameter.ndim < 2 or name.rsplit(".", 1)[-1] in RECURRENCE
            (free if exempt else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=config.lr)


def make_schedule(optimizer: AdamW, config: TrainConfig, total_steps: int) -> LambdaLR:
    """Linear warm-up over ``warmup`` of all steps, then a cosine down to ``final_lr``."""
    warm = max(1, round(config.warmup * total_steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        done = min(1.0, (step - warm) / max(1, total_steps - warm))
        return config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)
