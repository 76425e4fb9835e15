"""Losses on soft targets: class mixtures from mixup, several labels, and a teacher's logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.training.config import Loss
from aum_edge.training.distillation.config import DistillConfig


def hard_loss(logits: Tensor, targets: Tensor, kind: Loss) -> Tensor:
    """Cross entropy (mean over clips) or binary cross entropy (mean over clips and classes).

    Shape:
        logits, targets: (B, C). Returns a scalar in float32.
    """
    logits = logits.float()
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, targets)
    return F.cross_entropy(logits, targets)


def distillation_loss(
    logits: Tensor,
    targets: Tensor,
    teacher_probabilities: Tensor,
    config: DistillConfig,
    kind: Loss = "cross-entropy",
) -> Tensor:
    """Labels and softened teacher probabilities together, as :class:`DistillConfig` says.

    Shape:
        logits, targets, teacher_probabilities: (B, C); the last are at ``config.temperature``
        already, so that mixed clips can mix them. Returns a scalar.

    The squared temperature keeps the gradient's size independent of it. Source: Hinton et al.,
    arXiv 1503.02531, section 2.
    """
    softened = logits.float() / config.temperature
    if kind == "bce":
        soft = _binary_kl(softened, teacher_probabilities)
    else:
        soft = F.kl_div(
            F.log_softmax(softened, dim=-1), teacher_probabilities, reduction="batchmean"
        )
    share = config.kd_lambda
    return (1 - share) * hard_loss(logits, targets, kind) + share * config.temperature**2 * soft


def _binary_kl(logits: Tensor, probabilities: Tensor) -> Tensor:
    """Binary KL divergence of student from teacher, the mean over clips and classes."""
    crossed = F.binary_cross_entropy_with_logits(logits, probabilities)
    return crossed - F.binary_cross_entropy(probabilities, probabilities)


def soften(logits: Tensor, temperature: float, kind: Loss) -> Tensor:
    """A teacher's logits (n, C) as the probabilities that the loss of this kind learns from."""
    softened = logits / temperature
    return torch.sigmoid(softened) if kind == "bce" else torch.softmax(softened, dim=1)


def smooth(targets: Tensor, amount: float, kind: Loss = "cross-entropy") -> Tensor:
    """Label smoothing of targets (B, C): to all classes alike, or of every yes and no to a half."""
    if amount == 0:
        return targets
    return targets * (1 - amount) + amount / (2 if kind == "bce" else targets.shape[1])


def as_targets(y: Tensor, n_classes: int) -> Tensor:
    """Class indices (B,) as one-hot rows, or multi-hot rows (B, C) as they are, in float32."""
    return one_hot(y, n_classes) if y.ndim == 1 else y.to(torch.float32)


def one_hot(labels: Tensor, n_classes: int) -> Tensor:
    """Class indices (B,) to float32 rows (B, C)."""
    return F.one_hot(labels, n_classes).to(torch.float32)
