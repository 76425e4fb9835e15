"""The same arithmetic in fewer, larger operators: what is captured instead of a layer's own code.

onnxruntime spends about a microsecond on every operator, whatever it computes, and a student's
layers compute less than that. Here norms are written as its optimizer knows them (one kernel), the
depthwise convolution has two dimensions (its blocked kernel knows no others), and SSD runs both
directions at once on rows of tokens, so that nothing is turned but its input and its output.
Weights, names and multiplications stay those of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.models.quantized import QuantTokenConv, float_weight, rounded_input
from aum_edge.ssm.layers import RMSNorm, TokenConv
from aum_edge.ssm.mixers.directions import DIRECTIONS
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer
from aum_edge.ssm.mixers.s6 import S6Mixer
from aum_edge.ssm.mixers.ssd import SSDMixer
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.ssd import MASKED


def features(student: MambaStudent, x: Tensor) -> Tensor:
    """:meth:`MambaStudent.features` for S6 mixers whose forward is :func:`mix`."""
    tokens = student.stem(x).transpose(0, 1).unsqueeze(2)
    for block in student.blocks:
        tokens = block(tokens)
    return student.pool(_turned(student.norm_f(tokens)))


def mix(mixer: S6Mixer, x: Tensor) -> Tensor:
    """:class:`S6Mixer` on (L, batch, 1, d_model)."""
    u, z = mixer.in_proj(x).split([mixer.d_inner, mixer.d_inner], dim=-1)
    ways = DIRECTIONS[mixer.directions]
    if not mixer.separate:
        y = _path(mixer, u, "", ways)
    else:
        y = _path(mixer, u, mixer.paths[0], ways[:1])
        if len(ways) == 2:
            y = y + _path(mixer, u, mixer.paths[1], ways[1:])
    return mixer.out_proj(mixer.norm(y * F.silu(z)))


def _path(mixer: S6Mixer, u: Tensor, path: str, ways: tuple[bool, ...]) -> Tensor:
    v = F.silu(mixer.get_submodule(f"conv1d{path}")(u))
    rows = mixer.get_submodule(f"x_proj{path}")(v)
    dt, B, C = rows.split([mixer.dt_rank, mixer.d_state, mixer.d_state], dim=-1)
    delta = _turned(compact_softplus(mixer.get_submodule(f"dt_proj{path}")(dt)))
    A = -torch.exp(mixer.get_parameter(f"A{path}_log"))
    B, C = B.transpose(0, 1), C.transpose(0, 1)
    ys = [scan(_turned(v), delta, A, B, C, way)[0].transpose(0, 1).unsqueeze(2) for way in ways]
    y = ys[0] + ys[1] if len(ys) == 2 else ys[0]
    skip = mixer.get_parameter(f"D{path}") * v
    if not mixer.bidirectional:
        return y + skip
    return 0.5 * (y + skip) if mixer.separate else 0.5 * y + skip


def _turned(x: Tensor) -> Tensor:
    """(L, batch, 1, E) to (batch, L, E)."""
    return x.squeeze(2).transpose(0, 1)


MOST = 20.0
"""exp above this is not needed: log(1 + exp(20)) is 20 in float32."""


def compact_softplus(x: Tensor) -> Tensor:
    """max(x, log(1 + exp(min(x, 20)))): two operators less than in :mod:`aum_edge.ssm.layers`.

    Absolute error up to 1e-7 below 0 and a rounding step above it.
    """
    return torch.maximum(x, torch.log(1 + torch.exp(torch.clamp(x, max=MOST))))


FEW = 400
"""Elements up to which onnxruntime's scalar Softplus beats five vectorised operators."""


def compact(model: nn.Module) -> None:
    """Give the layers of a copy made for capture their compact forms, in place."""
    for layer in list(model.modules()):
        if type(layer) is RMSNorm:
            layer.forward = _bound(_norm, layer)  # type: ignore[method-assign]
        if isinstance(layer, SSDMixer):
            layer.forward = _bound(_mix_ssd, layer)  # type: ignore[method-assign]
            _replace_convolutions(layer, Tokens.LAST)
        if isinstance(layer, GatedConvMixer):
            _replace_convolutions(layer, Tokens.SECOND)
        if isinstance(layer, S6Mixer):
            layer.forward = _bound(mix, layer)  # type: ignore[method-assign]
            _replace_convolutions(layer, Tokens.FIRST)
        if isinstance(layer, MambaStudent) and layer.config.mixer == "s6":
            layer.features = _bound(features, layer)  # type: ignore[method-assign]


def _bound(function: Callable[..., Tensor], layer: nn.Module) -> Any:
    return lambda x: function(layer, x)


class Tokens(Enum):
    """Where a layer's tokens are; the value is how that becomes (batch, channels, 1, L)."""

    FIRST = (1, 3, 2, 0)
    """(L, batch, 1, channels)."""
    SECOND = (0, 2, 1)
    """(batch, L, channels)."""
    LAST = (0, 1, 2)
    """(batch, channels, L)."""


def _replace_convolutions(mixer: nn.Module, tokens: Tokens) -> None:
    for name, layer in list(mixer.named_children()):
        if isinstance(layer, TokenConv | QuantTokenConv):
            setattr(mixer, name, FlatConv(layer, tokens))


class FlatConv(nn.Module):
    """A convolution along tokens as one of a picture that is one pixel high.

    Shape: what ``tokens`` says, to the same.
    """

    def __init__(self, layer: TokenConv | QuantTokenConv, tokens: Tokens) -> None:
        super().__init__()
        self.layer = [layer]
        """In a list: its weights are in ``weight`` and ``bias``, under the names they had."""
        self.weight = nn.Parameter(float_weight(layer).detach().clone(), requires_grad=False)
        self.bias = layer.bias
        self.sides = layer.reach, int(layer.padding[0])
        self.tokens = tokens

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along tokens."""
        x = rounded_input(self.layer[0], x)
        first = self.tokens is Tokens.FIRST
        rows = x.permute(self.tokens.value)
        rows = rows if first else rows.unsqueeze(2)
        reach, padding = self.sides
        if reach:
            rows = F.pad(rows, (reach, 0))
        groups = self.weight.shape[0]
        y = F.conv2d(rows, self.weight.unsqueeze(2), self.bias, 1, (0, padding), 1, groups)
        return y.permute(3, 0, 2, 1) if first else y.squeeze(2).permute(self.tokens.value)


def _norm(layer: RMSNorm, x: Tensor) -> Tensor:
    """RMSNorm by a square, a root and a division: onnxruntime makes one kernel of just this."""
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + layer.eps) * layer.weight


def _mix_ssd(mixer: SSDMixer, x: Tensor) -> Tensor:
    """:class:`SSDMixer` on (batch, channels, L): tokens stay last until the norm."""
    steps = mixer.heads * mixer.directions
    rows = mixer.in_proj(x).transpose(1, 2)
    z, mixed, dt = rows.split([mixer.d_inner, mixer.mixed, steps], dim=1)
    mixed = F.silu(mixer.conv1d(mixed))
    u, *BC = mixed.split([mixer.d_inner, *[mixer.d_state] * (2 * mixer.sets)], dim=1)
    u = u.unflatten(1, (mixer.heads, mixer.head_dim))
    dt = dt.reshape(x.shape[0], mixer.directions, mixer.heads, x.shape[1], 1)
    dt = _softplus(dt + mixer.dt_bias[:, :, None, None], steps * x.shape[1])
    weights = _decays(mixer, dt) * dt
    scores = [
        torch.matmul(B.transpose(1, 2), C).unsqueeze(1)
        for B, C in zip(*[iter(BC)] * 2, strict=True)
    ]
    if mixer.sets == 1:
        seen = (weights.sum(1) if mixer.directions == 2 else weights.squeeze(1)) * scores[0]
    else:
        seen = (weights * torch.stack(scores, dim=1)).sum(1)
    y = torch.matmul(u, seen) + mixer.D[:, None, None] * u
    y = y.flatten(1, 2) * F.silu(z)
    return mixer.out_proj(mixer.norm(y.transpose(1, 2)))


def _decays(mixer: SSDMixer, dt: Tensor) -> Tensor:
    """exp(sum of dt A between s and t), 0 where t must not see s: (batch, dirs, H, L_s, L_t).

    dt is (batch, dirs, H, L, 1). The sums of :func:`~aum_edge.ssm.scan.ssd.ssd`, both at once.
    """
    rate = dt * -torch.exp(mixer.A_log)[:, :, None, None]
    reach = torch.cumsum(rate, dim=3)
    ahead = torch.tensor(mixer.ways)[:, None, None, None]
    if all(mixer.ways):
        reach = rate - reach
    elif any(mixer.ways):
        reach = torch.where(ahead, rate - reach, reach)
    place = torch.arange(rate.shape[3], dtype=rate.dtype)
    gap = place[:, None] - place
    sign = torch.tensor([-MASKED if way else MASKED for way in mixer.ways])
    hidden = torch.clamp(gap * sign[:, None, None, None], max=0.0)
    return torch.exp(torch.minimum(reach.transpose(3, 4) - reach, hidden))


def _softplus(x: Tensor, elements: int) -> Tensor:
    """Elements may be a symbol, where the length is free."""
    return F.softplus(x) if isinstance(elements, int) and elements <= FEW else compact_softplus(x)
