"""A network's blocks, final norm and head, as its architecture declares them."""

from __future__ import annotations

from torch import nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.base import Backbone, NetworkParts


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
