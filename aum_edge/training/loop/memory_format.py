"""Memory format of a CNN's activations: channels last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.base import Backbone


@contextmanager
def channels_last(network: nn.Module) -> Iterator[None]:
    """Inside, what follows the first convolution computes with channels next to each other.

    Weights keep their order, so checkpoints and optimiser states are as ever.

    Raises:
        RecipeError: If the network has no two convolutions over frequency and time.
    """
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    if len(convolutions) < 2:
        raise RecipeError(
            f"`memory_format: channels_last` is for networks of 2D convolutions, "
            f"{type(network).__name__} has {len(convolutions)}: give contiguous."
        )
    handle = convolutions[0].register_forward_hook(_reordered)
    try:
        yield
    finally:
        handle.remove()


def fastest(network: nn.Module) -> AbstractContextManager[None]:
    """The faster memory format: channels last, where a CNN takes three fifths of the time."""
    faster = isinstance(network, Backbone) and network.channels_last
    return channels_last(network) if faster else nullcontext()


def _reordered(_: nn.Module, __: Any, output: Tensor) -> Tensor:
    return output.contiguous(memory_format=torch.channels_last)
