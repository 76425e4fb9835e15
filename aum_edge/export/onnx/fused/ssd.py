"""ONNX form of SSD: both directions at once on rows of tokens, transposed only at both ends."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.export.onnx.forms import bound, register_onnx_form
from aum_edge.export.onnx.fused.flat_conv import Tokens, replace_convolutions
from aum_edge.export.onnx.fused.layers import compact_softplus
from aum_edge.ssm.mixers.ssd import SSDMixer
from aum_edge.ssm.scan.ssd import MASKED

FEW = 400
"""Elements up to which onnxruntime's scalar Softplus beats five vectorised operators."""


@register_onnx_form(SSDMixer)
def fuse_mixer(mixer: SSDMixer) -> None:
    """Tokens stay last until the norm."""
    mixer.forward = bound(mix, mixer)  # type: ignore[method-assign]
    replace_convolutions(mixer, Tokens.LAST)


def mix(mixer: SSDMixer, x: Tensor) -> Tensor:
    """:class:`SSDMixer` on (batch, channels, L): tokens stay last until the norm."""
    steps = mixer.heads * mixer.directions
    rows = mixer.in_proj(x).transpose(1, 2)  # (batch, rows, L)
    z, mixed, dt = rows.split([mixer.d_inner, mixer.mixed, steps], dim=1)
    mixed = F.silu(mixer.conv1d(mixed))
    u, *BC = mixed.split([mixer.d_inner, *[mixer.d_state] * (2 * mixer.sets)], dim=1)
    u = u.unflatten(1, (mixer.heads, mixer.head_dim))  # (batch, H, P, L)
    dt = dt.reshape(x.shape[0], mixer.directions, mixer.heads, x.shape[1], 1)
    dt = _softplus(dt + mixer.dt_bias[:, :, None, None], steps * x.shape[1])
    weights = _decays(mixer, dt) * dt  # (batch, dirs, H, L_s, L_t)
    scores = [
        torch.matmul(B.transpose(1, 2), C).unsqueeze(1)
        for B, C in zip(*[iter(BC)] * 2, strict=True)
    ]
    if mixer.sets == 1:
        seen = (weights.sum(1) if mixer.directions == 2 else weights.squeeze(1)) * scores[0]
    else:
        seen = (weights * torch.stack(scores, dim=1)).sum(1)
    # seen is (batch, H, L_s, L_t), y (batch, H, P, L)
    y = torch.matmul(u, seen) + mixer.D[:, None, None] * u
    y = y.flatten(1, 2) * F.silu(z)  # (batch, E, L)
    return mixer.out_proj(mixer.norm(y.transpose(1, 2)))


def _decays(mixer: SSDMixer, dt: Tensor) -> Tensor:
    """exp(sum of dt A between s and t), 0 where s is masked for t: (batch, dirs, H, L_s, L_t).

    dt is (batch, dirs, H, L, 1). The sums of :func:`~aum_edge.ssm.scan.ssd.ssd`, both at once.
    """
    rate = dt * -torch.exp(mixer.A_log)[:, :, None, None]
    reach = torch.cumsum(rate, dim=3)
    ahead = torch.tensor(mixer.reversals)[:, None, None, None]
    if all(mixer.reversals):
        reach = rate - reach
    elif any(mixer.reversals):
        reach = torch.where(ahead, rate - reach, reach)
    position = torch.arange(rate.shape[3], dtype=rate.dtype)
    gap = position[:, None] - position
    sign = torch.tensor([-MASKED if reverse else MASKED for reverse in mixer.reversals])
    hidden = torch.clamp(gap * sign[:, None, None, None], max=0.0)
    return torch.exp(torch.minimum(reach.transpose(3, 4) - reach, hidden))


def _softplus(x: Tensor, elements: int) -> Tensor:
    """Elements may be a symbol, where the length is free."""
    return F.softplus(x) if isinstance(elements, int) and elements <= FEW else compact_softplus(x)
