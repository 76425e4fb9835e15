"""Freezing of layers: a network's parts, and which of them have gradients."""

from __future__ import annotations

from torch import nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.base import Backbone, NetworkParts
from aum_edge.training.config import FreezeConfig


def parts_of(network: nn.Module) -> NetworkParts:
    """The parts of a network, blocks in stages one by one.

    Raises:
        RecipeError: If the network declares no blocks and head.
    """
    parts = network.parts() if isinstance(network, Backbone) else None
    if parts is None:
        raise RecipeError(
            f"{type(network).__name__} declares no blocks and head: freezing, learning rates by "
            "layer and feature distillation need them; take these settings out."
        )
    return parts


def apply_freeze(network: nn.Module, config: FreezeConfig, epoch: int = 0) -> None:
    """Set what of ``network`` has gradients once ``epoch`` epochs are done.

    Raises:
        RecipeError: If the network has fewer blocks than are asked for, or parts of unknown names.
    """
    if config.trains == "all" or (config.epochs and epoch >= config.epochs):
        network.requires_grad_(True)
        return
    parts = parts_of(network)
    if config.last_blocks > len(parts.blocks):
        raise RecipeError(
            f"`freeze.last_blocks` must be at most {len(parts.blocks)}, the blocks of this "
            f"{type(network).__name__}; got {config.last_blocks}."
        )
    network.requires_grad_(False)
    parts.head.requires_grad_(True)
    if config.trains == "last-blocks":
        for module in (*parts.blocks[-config.last_blocks :], *parts.final):
            module.requires_grad_(True)


def settle_frozen(network: nn.Module) -> None:
    """Put layers without anything to learn in eval mode: no dropout, no running statistics."""
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            module.eval()


def count_trained(network: nn.Module) -> tuple[int, int]:
    """Parameters that learn, and all of them."""
    sizes = [(p.numel(), p.requires_grad) for p in network.parameters()]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)
