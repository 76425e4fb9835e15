"""Feature distillation: tokens of matched blocks, read by hooks, and the loss between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.optim.freezing import parts_of

LONGEST = 32
"""Time steps of a clip that are kept; more are averaged. Bounds what is stored."""
Taken = list[Tensor]


class FeatureHooks:
    """Reads (B, T, D) tokens, frequency averaged away, behind chosen blocks of a network.

    Hooks sit on the blocks only while :meth:`recording`, so they are never copied or saved. An
    AuM that runs its layers in pairs counts each pair as one block.

    Args:
        model: A classifier whose network declares its blocks.
        blocks: Numbers from 1.

    Raises:
        RecipeError: If the network declares no blocks or has fewer.
    """

    def __init__(self, model: AudioClassifier, blocks: Sequence[int]) -> None:
        network = model.backbone
        self._network = network
        groups = block_groups(network)
        if max(blocks, default=0) > len(groups):
            raise RecipeError(
                f"`distill.feature_pairs` names block {max(blocks)} of {type(network).__name__}, "
                f"which has {len(groups)}: leave the pairs out to match blocks by depth."
            )
        self._groups = [groups[number - 1] for number in blocks]

    @contextmanager
    def recording(self) -> Iterator[Taken]:
        """Record one forward pass; afterwards the list holds the tokens of each chosen block."""
        batch: dict[nn.Module, Any] = {}

        def keep(module: nn.Module, _: Any, output: Any) -> None:
            batch[module] = output

        watched = {module for group in self._groups for module in group}
        handles = [module.register_forward_hook(keep) for module in watched]
        taken: Taken = []
        try:
            yield taken
        finally:
            for handle in handles:
                handle.remove()
        for group in self._groups:
            outputs = [batch[module] for module in group]
            taken.append(at_most(self._network.block_tokens(outputs), LONGEST))

    def shapes(self, model: AudioClassifier) -> list[tuple[int, int]]:
        """(T, D) of every chosen block, by one silent clip."""
        training = model.training
        parameter = next(model.parameters())
        with torch.no_grad(), self.recording() as taken:
            model.eval()(model.example_input().to(parameter.device))
        model.train(training)
        return [(tokens.shape[1], tokens.shape[2]) for tokens in taken]


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


def pair_by_depth(student: int, teacher: int) -> tuple[tuple[int, int], ...]:
    """Every block of a student of so many with the teacher's at the same relative depth.

    The last meets the last. Source: the uniform mapping of TinyBERT, arXiv 1909.10351.
    """
    return tuple(
        (number, max(1, round(number * teacher / student))) for number in range(1, student + 1)
    )


def block_groups(network: Backbone) -> list[tuple[nn.Module, ...]]:
    """Blocks from the input to the output; of layers that run in pairs, both of each.

    Raises:
        RecipeError: If the network declares no blocks.
    """
    parts_of(network)
    return network.block_groups()


def at_most(tokens: Tensor, length: int) -> Tensor:
    """Tokens (B, T, D) averaged to ``length`` time steps where there are more."""
    if tokens.shape[1] <= length:
        return tokens
    return F.adaptive_avg_pool1d(tokens.transpose(1, 2), length).transpose(1, 2)


def at_times(tokens: Tensor, length: int) -> Tensor:
    """Tokens (B, T, D) at ``length`` moments of the same clip: averaged to fewer, or linear."""
    if tokens.shape[1] >= length:
        return at_most(tokens, length)
    return F.interpolate(tokens.transpose(1, 2), size=length, mode="linear").transpose(1, 2)
