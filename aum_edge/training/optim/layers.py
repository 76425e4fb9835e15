"""A network's blocks, final norm and head, whatever it calls them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from aum_edge.errors import RecipeError

BLOCKS = ("layers", "blocks", "stages")
FINAL = ("norm_f", "layernorm", "norm")
HEAD = ("head", "feed_forward", "classifier")
"""Attribute names, of which a network has one each: add the name that a new network uses."""


@dataclass(frozen=True)
class NetworkParts:
    """Modules of one network; what is before its blocks is not named."""

    blocks: tuple[nn.Module, ...]
    """From the input to the output."""
    final: tuple[nn.Module, ...]
    """Between the last block and the head, where there is such a norm."""
    head: nn.Module

    def depth_of(self, network: nn.Module) -> dict[int, int]:
        """How deep the parameters of ``network`` lie, by their ``id``.

        0 is before the blocks, 1 the first block, ``len(blocks) + 1`` the final norm and the head.
        """
        depths = {id(p): 0 for p in network.parameters()}
        for number, block in enumerate(self.blocks):
            depths |= {id(p): number + 1 for p in block.parameters()}
        for module in (*self.final, self.head):
            depths |= {id(p): len(self.blocks) + 1 for p in module.parameters()}
        return depths


def parts_of(network: nn.Module) -> NetworkParts:
    """The parts of a network by the names that this project's networks use.

    Blocks in stages, as CP-Mobile's, are told one by one.

    Raises:
        RecipeError: If the network has no blocks or no head under a known name.
    """
    blocks, head, final = (_first(network, names) for names in (BLOCKS, HEAD, FINAL))
    if blocks is None or head is None:
        missing = "blocks" if blocks is None else "head"
        names = ", ".join(BLOCKS if blocks is None else HEAD)
        raise RecipeError(
            f"{type(network).__name__} has no {missing} under a known name ({names}): freezing "
            "and learning rates by layer need them; take these settings out."
        )
    flat: list[nn.Module] = []
    for block in blocks.children():
        flat += list(block.children()) if isinstance(block, nn.Sequential) else [block]
    return NetworkParts(tuple(flat), () if final is None else (final,), head)


def _first(network: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    found = [getattr(network, name, None) for name in names]
    return next((module for module in found if isinstance(module, nn.Module)), None)
