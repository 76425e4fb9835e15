"""An S6 student captured with its tokens first: (L, batch, 1, channels) from stem to pooling.

That is the layout in which a scan steps through tokens and multiplies a row by its state, and the
convolution of a picture one pixel high is one turn away from it. What the scan's node takes and
gives is turned back here and turned again where it is written out; the pairs cancel
(:mod:`aum_edge.export.turns`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.export.compact_softplus import compact_softplus
from aum_edge.models.mamba_student import MambaStudent
from aum_edge.ssm.core import scan
from aum_edge.ssm.student_mixer import WAYS, S6Mixer


def features(student: MambaStudent, x: Tensor) -> Tensor:
    """:meth:`MambaStudent.features` for S6 mixers whose forward is :func:`mix`."""
    tokens = student.stem(x).transpose(0, 1).unsqueeze(2)
    for block in student.blocks:
        tokens = block(tokens)
    return student.pool(_turned(student.norm_f(tokens)))


def mix(mixer: S6Mixer, x: Tensor) -> Tensor:
    """:class:`S6Mixer` on (L, batch, 1, d_model)."""
    u, z = mixer.in_proj(x).split([mixer.d_inner, mixer.d_inner], dim=-1)
    ways = WAYS[mixer.directions]
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
