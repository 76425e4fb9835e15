"""ONNX form of S6 students: tokens come first, so that the scan needs no transposes around it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.export.onnx.forms import bound, register_onnx_form
from aum_edge.export.onnx.fused.flat_conv import Tokens, replace_convolutions
from aum_edge.export.onnx.fused.layers import compact_softplus
from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.ssm.mixers.s6 import S6Mixer
from aum_edge.ssm.scan.operator import scan


@register_onnx_form(S6Mixer)
def fuse_mixer(mixer: S6Mixer) -> None:
    """On (L, batch, 1, d_model)."""
    mixer.forward = bound(mix, mixer)  # type: ignore[method-assign]
    replace_convolutions(mixer, Tokens.FIRST)


@register_onnx_form(MambaStudent)
def fuse_student(student: MambaStudent) -> None:
    """The tokens of a student whose mixers are all S6 are transposed once before and once after."""
    if all(type(mixer) is S6Mixer for mixer in student.mixers):
        student.features = bound(features, student)  # type: ignore[method-assign]


def features(student: MambaStudent, x: Tensor) -> Tensor:
    """:meth:`MambaStudent.features` for S6 mixers whose forward is :func:`mix`."""
    tokens = student.stem(x).transpose(0, 1).unsqueeze(2)  # (L, batch, 1, d_model)
    for block in student.blocks:
        tokens = block(tokens)
    return student.pool(_batch_first(student.norm_f(tokens)))


def mix(mixer: S6Mixer, x: Tensor) -> Tensor:
    """:class:`S6Mixer` on (L, batch, 1, d_model)."""
    u, z = mixer.in_proj(x).split([mixer.d_inner, mixer.d_inner], dim=-1)
    directions = mixer.reversals
    if not mixer.separate:
        y = _path(mixer, u, "", directions)
    else:
        y = _path(mixer, u, mixer.paths[0], directions[:1])
        if len(directions) == 2:
            y = y + _path(mixer, u, mixer.paths[1], directions[1:])
    return mixer.out_proj(mixer.norm(y * F.silu(z)))


def _path(mixer: S6Mixer, u: Tensor, path: str, directions: tuple[bool, ...]) -> Tensor:
    v = F.silu(mixer.get_submodule(f"conv1d{path}")(u))
    rows = mixer.get_submodule(f"x_proj{path}")(v)  # (L, batch, 1, R + 2 N)
    dt, B, C = rows.split([mixer.dt_rank, mixer.d_state, mixer.d_state], dim=-1)
    delta = _batch_first(compact_softplus(mixer.get_submodule(f"dt_proj{path}")(dt)))
    A = -torch.exp(mixer.get_parameter(f"A{path}_log"))
    B, C = B.transpose(0, 1), C.transpose(0, 1)  # (batch, L, 1, N) each
    ys = [
        scan(_batch_first(v), delta, A, B, C, back)[0].transpose(0, 1).unsqueeze(2)
        for back in directions
    ]
    y = ys[0] + ys[1] if len(ys) == 2 else ys[0]
    skip = mixer.get_parameter(f"D{path}") * v
    if not mixer.bidirectional:
        return y + skip
    return 0.5 * (y + skip) if mixer.separate else 0.5 * y + skip


def _batch_first(x: Tensor) -> Tensor:
    """(L, batch, 1, E) to (batch, L, E)."""
    return x.squeeze(2).transpose(0, 1)
