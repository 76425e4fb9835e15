"""What a network's blocks say over time, in one layout for every architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.ast import AudioSpectrogramTransformer
from aum_edge.models.architectures.audio_mamba import AudioMamba, without
from aum_edge.models.architectures.cp_mobile import CPMobile
from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.optim.layers import parts_of

LONGEST = 32
"""Time steps of a clip that are kept; more are averaged. Bounds what is stored."""
Taken = list[Tensor]


class FeatureHooks:
    """Reads (B, T, D) tokens, frequency averaged away, behind chosen blocks of a network.

    Hooks sit on the blocks only while :meth:`listening`, so they are never copied or saved. An
    AuM that runs its layers in pairs counts each pair as one block.

    Args:
        model: AuM, AST, Mamba student or CP-Mobile.
        blocks: Numbers from 1.

    Raises:
        RecipeError: If the network is of another kind or has fewer blocks.
    """

    def __init__(self, model: AudioClassifier, blocks: Sequence[int]) -> None:
        network = model.backbone
        self._layout = _layout(network)
        groups = block_groups(network)
        if max(blocks, default=0) > len(groups):
            raise RecipeError(
                f"`distill.feature_pairs` names block {max(blocks)} of {type(network).__name__}, "
                f"which has {len(groups)}: leave the pairs out to match blocks by depth."
            )
        self._groups = [groups[number - 1] for number in blocks]

    @contextmanager
    def listening(self) -> Iterator[Taken]:
        """Inside, one forward pass; afterwards the list holds the tokens of each chosen block."""
        heard: dict[nn.Module, Any] = {}

        def keep(module: nn.Module, _: Any, output: Any) -> None:
            heard[module] = output

        watched = {module for group in self._groups for module in group}
        handles = [module.register_forward_hook(keep) for module in watched]
        taken: Taken = []
        try:
            yield taken
        finally:
            for handle in handles:
                handle.remove()
        for group in self._groups:
            outputs = [heard[module] for module in group]
            taken.append(at_most(self._layout(outputs), LONGEST))

    def shapes(self, model: AudioClassifier) -> list[tuple[int, int]]:
        """(T, D) of every chosen block, by one silent clip."""
        training = model.training
        parameter = next(model.parameters())
        with torch.no_grad(), self.listening() as taken:
            model.eval()(model.example_input().to(parameter.device))
        model.train(training)
        return [(tokens.shape[1], tokens.shape[2]) for tokens in taken]


def pair_by_depth(student: int, teacher: int) -> tuple[tuple[int, int], ...]:
    """Every block of a student of so many with the teacher's at the same relative depth.

    The last meets the last. Source: the uniform mapping of TinyBERT, arXiv 1909.10351.
    """
    return tuple(
        (number, max(1, round(number * teacher / student))) for number in range(1, student + 1)
    )


def block_groups(network: nn.Module) -> list[tuple[nn.Module, ...]]:
    """Blocks from the input to the output; of an AuM in pairs, both halves of each."""
    blocks = parts_of(network).blocks
    if isinstance(network, AudioMamba) and network.config.layer_pairs:
        return list(zip(blocks[::2], blocks[1::2], strict=True))
    return [(block,) for block in blocks]


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


def _layout(network: nn.Module) -> Callable[[list[Any]], Tensor]:
    """How the outputs of a block, one or the two halves of a pair, become (B, T, D)."""
    if isinstance(network, AudioMamba):
        return lambda outputs: _patches(network, _stream(outputs))
    if isinstance(network, AudioSpectrogramTransformer):
        return lambda outputs: _patches(network, _first(outputs))
    if isinstance(network, MambaStudent):
        groups = getattr(network.config, "frequency_groups", 1)
        return lambda outputs: _first(outputs).unflatten(1, (-1, groups)).mean(dim=2)
    if isinstance(network, CPMobile):
        return lambda outputs: _first(outputs).mean(dim=2).transpose(1, 2)
    raise RecipeError(
        f"`distill.feature_weight` does not know how {type(network).__name__} lays out its tokens: "
        "set it to 0, or give an AuM, AST, Mamba student or CP-Mobile."
    )


def _first(outputs: list[Any]) -> Tensor:
    """Of a block that may answer a tensor or a tuple that begins with it."""
    output: Tensor = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    return output


def _stream(outputs: list[Any]) -> Tensor:
    """The residual stream behind an AuM's layer, or behind a pair whose second half ran back."""
    streams = [hidden if left is None else hidden + left for hidden, left in outputs]
    return streams[0] if len(streams) == 1 else streams[0] + streams[1].flip(1)


def _patches(network: AudioMamba | AudioSpectrogramTransformer, tokens: Tensor) -> Tensor:
    """Class tokens out, frequency averaged."""
    patches = without(tokens, network.class_index)
    rows, columns = network.grid
    if getattr(network.config, "token_order", "frequency") == "time":
        return patches.unflatten(1, (columns, rows)).mean(dim=2)
    return patches.unflatten(1, (rows, columns)).mean(dim=1)
