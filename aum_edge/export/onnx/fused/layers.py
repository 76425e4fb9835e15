"""RMS norm and softplus as onnxruntime runs them best."""

from __future__ import annotations

import torch
from torch import Tensor

from aum_edge.export.onnx.forms import bound, register_onnx_form
from aum_edge.ssm.layers import RMSNorm

MOST = 20.0
"""exp above this is not needed: log(1 + exp(20)) is 20 in float32."""


def compact_softplus(x: Tensor) -> Tensor:
    """max(x, log(1 + exp(min(x, 20)))): two operators less than in :mod:`aum_edge.ssm.layers`.

    Absolute error up to 1e-7 below 0 and a rounding step above it.
    """
    return torch.maximum(x, torch.log(1 + torch.exp(torch.clamp(x, max=MOST))))


@register_onnx_form(RMSNorm)
def fuse_norm(layer: RMSNorm) -> None:
    """RMS norm as the pattern that onnxruntime's optimizer fuses."""
    layer.forward = bound(norm, layer)  # type: ignore[method-assign]


def norm(layer: RMSNorm, x: Tensor) -> Tensor:
    """RMSNorm by a square, a root and a division: onnxruntime makes one kernel of just this."""
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + layer.eps) * layer.weight
