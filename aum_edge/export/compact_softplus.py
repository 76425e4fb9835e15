"""Softplus in five vectorised operators."""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 20.0
"""exp above this is not needed: log(1 + exp(20)) is 20 in float32."""


def compact_softplus(x: Tensor) -> Tensor:
    """max(x, log(1 + exp(min(x, 20)))): two operators less than in :mod:`aum_edge.ssm.softplus`.

    Absolute error up to 1e-7 below 0 and a rounding step above it.
    """
    return torch.maximum(x, torch.log(1 + torch.exp(torch.clamp(x, max=MOST))))
