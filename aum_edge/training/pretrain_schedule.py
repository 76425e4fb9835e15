"""The learning rate of pretraining, step by step."""

from __future__ import annotations

import math
from typing import Any

from aum_edge.training.pretrain_config import PretrainConfig

HALF = 0.5
THRESHOLD = 1e-4
"""Relative gain below which an epoch is no better."""


class PretrainSchedule:
    """Factor of the peak learning rate; called with the step.

    Warm-up is linear. ``plateau`` counts epochs as ``torch.optim.lr_scheduler.ReduceLROnPlateau``
    does: when more than ``plateau_patience`` in a row are no better, the rate is halved.
    """

    def __init__(self, config: PretrainConfig, total_steps: int) -> None:
        self.config = config
        self.total = max(1, total_steps)
        self.warm = config.warmup_steps or max(1, round(0.1 * total_steps))
        self.factor = 1.0
        self.best = math.inf
        self.waited = 0

    def __call__(self, step: int) -> float:
        """Of steps from 0."""
        warm = min(1.0, (step + 1) / self.warm)
        if self.config.schedule == "plateau":
            return warm * self.factor
        done = min(1.0, max(0, step - self.warm) / max(1, self.total - self.warm))
        final = self.config.final_lr
        return warm * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))

    def epoch_ended(self, loss: float) -> None:
        """Take note of an epoch's monitored value, smaller being better."""
        if loss < self.best - THRESHOLD * abs(self.best if self.best < math.inf else 0.0):
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > self.config.plateau_patience:
            self.factor *= HALF
            self.waited = 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.factor, self.best, self.waited = state["factor"], state["best"], state["waited"]
