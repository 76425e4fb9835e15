"""Upstream weights: ``from_upstream(state_dict, kind, flags)``."""

from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.checkpoints.upstream import from_upstream

__all__ = ["from_upstream", "initialise_from"]
