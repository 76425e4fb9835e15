"""Losses on soft targets: class mixtures from mixup, and a teacher's logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.training.config import DistillConfig


def distillation_loss(
    logits: Tensor, targets: Tensor, teacher_probabilities: Tensor, config: DistillConfig
) -> Tensor:
    """Hard labels and softened teacher probabilities together.

    Shape:
        logits, targets, teacher_probabilities: (B, C); the last are at ``config.temperature``
        already, so that mixed clips can mix them. Returns a scalar.

    The squared temperature keeps the gradient's size independent of it. Source: Hinton et al.,
    arXiv 1503.02531, section 2.
    """
    hard = F.cross_entropy(logits, targets)
    student = F.log_softmax(logits / config.temperature, dim=-1)
    soft = F.kl_div(student, teacher_probabilities, reduction="batchmean")
    share = config.kd_lambda
    return (1 - share) * hard + share * config.temperature**2 * soft


def mix_rows(rows: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
    """Mix rows (B, C) as mixup mixed their clips: ``lam * row + (1 - lam) * row[partner]``."""
    weight = lam.to(rows).unsqueeze(1)
    return weight * rows + (1 - weight) * rows[partner]


def smooth(targets: Tensor, amount: float) -> Tensor:
    """Label smoothing of one-hot or mixed targets (B, C)."""
    return targets if amount == 0 else targets * (1 - amount) + amount / targets.shape[1]


def one_hot(labels: Tensor, n_classes: int) -> Tensor:
    """Class indices (B,) to float32 rows (B, C)."""
    return F.one_hot(labels, n_classes).to(torch.float32)
