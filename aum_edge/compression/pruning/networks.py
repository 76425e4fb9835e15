"""The networks that can be pruned, and a whole block as a group."""

from __future__ import annotations

import torch
from torch import nn

from aum_edge.errors import CompressionError
from aum_edge.models.architectures.prunable import PrunableBackbone
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import architectures, build
from aum_edge.ssm.mixers.groups import Gate, Group


def prunable(network: nn.Module) -> PrunableBackbone:
    """The network itself, known to have prunable blocks.

    Raises:
        CompressionError: it is another kind of network.
    """
    if not isinstance(network, PrunableBackbone):
        known = [
            name
            for name, kind in architectures().items()
            if issubclass(kind.network, PrunableBackbone)
        ]
        raise CompressionError(
            f"Pruning cuts Mamba blocks and finds none in a {type(network).__name__}; "
            f"give a model of the architecture {' or '.join(known)}."
        )
    return network


def fresh(config: BackboneConfig) -> PrunableBackbone:
    """A network of this config; the stream of random numbers stays where it was."""
    with torch.random.fork_rng(devices=[]):
        return prunable(build(config))


def block_group(backbone: PrunableBackbone, index: int) -> Group:
    """A whole block as a group of one unit, for its gate: what the block adds is turned down."""
    name = f"{backbone.blocks_name}.{index}.mixer"
    gate = Gate(module=name, side="out", spans=((0, backbone.config.d_model),))
    return Group(dimension="block", units=1, minimum=0, gates=(gate,))
