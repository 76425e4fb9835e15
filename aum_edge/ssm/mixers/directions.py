"""Directions in which a mixer scans, and which of them a block has.

Shared directions have the convolution and all projections in common, so the second one costs no
weights; separate ones have what makes their scan to themselves. A block that has lost a direction
to pruning computes what it computed before with that direction's output at zero.
"""

from __future__ import annotations

DIRECTIONS = {"both": (False, True), "forward": (False,), "backward": (True,)}
"""Whether each scan of a block runs from the end."""
