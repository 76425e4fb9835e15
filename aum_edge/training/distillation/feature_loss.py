"""A student's tokens against a teacher's of another width and another number of time steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.training.distillation.feature_hooks import at_times


class FeatureLoss(nn.Module):
    """1 - cosine of centred tokens, the mean over clips, time steps and pairs of blocks.

    A linear layer a pair takes the student's width to the teacher's (FitNets, arXiv 1412.6550;
    TinyBERT, arXiv 1909.10351). It learns with the student and is no part of it. The teacher's
    tokens are brought to the student's moments. Both lose their mean over the batch, which all
    clips have in common and which would otherwise be most of the cosine; up to a factor, the loss
    is then the squared distance of normalised tokens (arXiv 1908.09355).

    Args:
        student: (T, D) of each block of the student that is matched.
        teacher: (T, D) of each of the teacher's.
        seed: Of the layers' weights.
    """

    def __init__(
        self,
        student: Sequence[tuple[int, int]],
        teacher: Sequence[tuple[int, int]],
        seed: int,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.projections = nn.ModuleList(
                nn.Linear(mine[1], theirs[1], bias=False)
                for mine, theirs in zip(student, teacher, strict=True)
            )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Tokens (B, T, D) of each matched block to a scalar."""
        losses = []
        for projection, mine, theirs in zip(self.projections, student, teacher, strict=True):
            target = _centred(at_times(theirs.float(), mine.shape[1]))
            guess = _centred(projection(mine).float())
            losses.append(1 - F.cosine_similarity(guess, target, dim=2).mean())
        return torch.stack(losses).mean()


def _centred(tokens: Tensor) -> Tensor:
    return tokens - tokens.mean(dim=(0, 1))
