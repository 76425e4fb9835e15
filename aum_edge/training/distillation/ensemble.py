"""Teacher ensemble: classes in the data's order, logits of one kind, weighted mean."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import Loss

log = logging.getLogger(__name__)
CLEARLY = 0.9
"""Share of its student's parameters below which a teacher is called smaller."""


@dataclass(frozen=True)
class EnsembleMember:
    """One teacher, its share of the mean, and its columns of the data's classes."""

    model: AudioClassifier
    columns: tuple[int, ...]
    """Which of its outputs are the data's classes, in their order."""
    share: float
    """Share in the mean of the logits; all members' sum to 1."""

    def read(self, logits: Tensor, kind: Loss) -> Tensor:
        """Its logits (B, its classes) as (B, C) for a student with the loss ``kind``."""
        if kind == "bce" and self.model.activation == "softmax":
            logits = log_odds(logits)
        return logits[:, self.columns]


def teacher_ensemble(
    teachers: Sequence[AudioClassifier],
    labels: Sequence[str],
    weights: Sequence[float] = (),
) -> tuple[EnsembleMember, ...]:
    """Ensemble of teachers of any architecture, the classes ``labels`` taken by name.

    ``weights`` say how much each counts, 1 for all when empty. The common logits are the weighted
    mean of logits, so the geometric mean of probabilities: stored logits then serve every
    temperature, as in the winning DCASE systems, where a mean of probabilities would have to be
    made after the temperature.

    Raises:
        RecipeError: If there is no teacher, one does not know some class, or weights do not fit.
    """
    if not teachers:
        raise RecipeError("Distillation needs at least one teacher.")
    shares = list(weights) or [1.0] * len(teachers)
    if len(shares) != len(teachers):
        raise RecipeError(
            f"There are {len(teachers)} teachers and {len(shares)} weights {shares}: give one "
            "weight a teacher, or none."
        )
    if min(shares) < 0 or not 0 < sum(shares) < float("inf"):
        raise RecipeError(f"Teachers' weights must be at least 0 and not all 0, got {shares}.")
    return tuple(
        EnsembleMember(teacher, _columns(teacher, labels), share / sum(shares))
        for teacher, share in zip(teachers, shares, strict=True)
    )


def ensemble_logits(outputs: Sequence[Tensor], members: Sequence[EnsembleMember]) -> Tensor:
    """Mean of the members' logits (B, C) by their shares."""
    rows = [member.share * logits for member, logits in zip(members, outputs, strict=True)]
    return torch.stack(rows).sum(dim=0)


def log_odds(logits: Tensor) -> Tensor:
    """Softmax logits (B, C) as the log odds of each class by itself, which a sigmoid takes.

    The opposite needs no conversion: given that exactly one class is there, the softmax over a
    sigmoid network's logits is the probabilities.
    """
    n = logits.shape[1]
    if n == 1:
        raise RecipeError("A softmax teacher of a single class knows nothing: its answer is 1.")
    others = ~torch.eye(n, dtype=torch.bool, device=logits.device)
    rows = logits.double().unsqueeze(1).expand(-1, n, -1)
    rest = rows.masked_fill(~others, -torch.inf).logsumexp(dim=2)
    return (logits.double() - rest).to(logits.dtype)


def warn_of_smaller(members: Sequence[EnsembleMember], student: AudioClassifier) -> None:
    """Warn when a teacher has clearly fewer parameters than its student.

    A student that learns to be rounded has a few more than the float one that teaches it.
    """
    size = parameters(student)
    for member in members:
        if parameters(member.model) < CLEARLY * size:
            log.warning(
                "The teacher %s has %s parameters, its student %s %s: a smaller teacher rarely "
                "helps.",
                type(member.model.backbone).__name__,
                f"{parameters(member.model):,}",
                type(student.backbone).__name__,
                f"{size:,}",
            )


def parameters(model: nn.Module) -> int:
    """Number of parameters of a network."""
    return sum(p.numel() for p in model.parameters())


def _columns(teacher: AudioClassifier, labels: Sequence[str]) -> tuple[int, ...]:
    place = {label: index for index, label in enumerate(teacher.labels)}
    missing = [label for label in labels if label not in place]
    name = type(teacher.backbone).__name__
    if missing:
        raise RecipeError(
            f"The teacher {name} does not know {', '.join(missing)}; it knows "
            f"{', '.join(teacher.labels)}: give a teacher of all {len(labels)} classes of the data."
        )
    unused = len(teacher.labels) - len(labels)
    if unused:
        log.info(
            "The teacher %s knows %d classes more than the data: only those of the data count.",
            name,
            unused,
        )
    elif tuple(teacher.labels) != tuple(labels):
        log.info("The teacher %s has the classes in another order: taken by name.", name)
    return tuple(place[label] for label in labels)
