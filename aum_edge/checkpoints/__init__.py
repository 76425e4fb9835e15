"""Upstream weights: ``from_upstream(state_dict, kind, flags)``."""

from aum_edge.checkpoints.convert import from_upstream

__all__ = ["from_upstream"]
