"""The Mamba mixer of AuM, SSAMBA and Vim, under upstream's parameter names.

    fo-fo  one causal convolution, one forward scan
    fo-bi  the same convolution and projections, scanned forward (A_log) and backward (A_b_log)
    bi-bi  a second convolution, projections, A and D for the reversed sequence (suffix _b)

Source: docs of AuM (arXiv 2406.03344), Vision Mamba (arXiv 2401.09417), Mamba (arXiv 2312.00752).
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import softplus
from aum_edge.ssm.mixers.groups import GroupMember
from aum_edge.ssm.mixers.selective_scan import (
    SelectiveScanMixer,
    initial_A_log,
    initial_dt_proj,
)
from aum_edge.ssm.scan import cuda_backend, dispatch
from aum_edge.ssm.scan.operator import scan


class MambaMixer(SelectiveScanMixer):
    """(B, L, d_model) to the same shape; one direction's path is ``_path``."""

    def __init__(
        self,
        d_model: int,
        *,
        d_inner: int,
        d_state: int,
        d_conv: int,
        dt_rank: int,
        direction: Literal["fo-fo", "fo-bi", "bi-bi"],
        halve: bool = True,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.dt_rank = d_inner, d_state, dt_rank
        self.direction, self.halve = direction, halve
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self._add_path("", d_conv)
        if direction == "fo-bi":
            self.A_b_log = nn.Parameter(initial_A_log(d_inner, d_state))
        if direction == "bi-bi":
            self._add_path("_b", d_conv)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)
        self.gamma = nn.Parameter(layer_scale * torch.ones(d_model)) if layer_scale else None

    def _add_path(self, suffix: str, d_conv: int) -> None:
        E, N, R = self.d_inner, self.d_state, self.dt_rank
        convolution = nn.Conv1d(E, E, d_conv, groups=E, padding=d_conv - 1)
        self.add_module(f"conv1d{suffix}", convolution)
        self.add_module(f"x_proj{suffix}", nn.Linear(E, R + 2 * N, bias=False))
        self.add_module(f"dt_proj{suffix}", initial_dt_proj(R, E))
        name = "A_log" if not suffix else "A_b_log"
        self.register_parameter(name, nn.Parameter(initial_A_log(E, N)))
        self.register_parameter(f"D{suffix}", nn.Parameter(torch.ones(E)))

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)  # (B, L, E) each
        gate = F.silu(z)
        if self.direction == "bi-bi":
            y = self._path(u, "") + self._path(u, "_b")
            y = 0.5 * y if self.halve else y
        else:
            y = self._path(u, "", both=self.direction == "fo-bi")
        y = self.out_proj(y * gate)  # (B, L, d_model)
        return y if self.gamma is None else y * self.gamma

    @property
    def reversals(self) -> tuple[bool, ...]:
        """fo-fo scans forward; the others in both directions."""
        return (False,) if self.direction == "fo-fo" else (False, True)

    def width_members(self) -> tuple[GroupMember, ...]:
        """The learned gain on the output too."""
        gamma = (GroupMember(name="gamma", kind="parameter"),) if self.gamma is not None else ()
        return (*super().width_members(), *gamma)

    def _path(self, u: Tensor, suffix: str, both: bool = False) -> Tensor:
        """Convolution, projections and scan; suffix _b runs on the reversed sequence."""
        reverse = suffix == "_b"
        v = self._convolve(u, suffix, reverse)
        rows = getattr(self, f"x_proj{suffix}")(v)  # (B, L, R + 2 N)
        dt, B, C = rows.split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        delta = softplus(getattr(self, f"dt_proj{suffix}")(dt))  # (B, L, E)
        B, C = B.unsqueeze(2), C.unsqueeze(2)  # (B, L, 1, N) each
        A_log = self.get_parameter("A_b_log" if reverse else "A_log")
        y, _ = scan(v, delta, -torch.exp(A_log), B, C, reverse)
        D = getattr(self, f"D{suffix}")
        if both:
            backward, _ = scan(v, delta, -torch.exp(self.get_parameter("A_b_log")), B, C, True)
            return y + backward + 2 * D * v
        return y + D * v

    def _convolve(self, u: Tensor, suffix: str, reverse: bool) -> Tensor:
        """SiLU of the causal depthwise convolution; reversed it looks to the right."""
        convolution: nn.Conv1d = getattr(self, f"conv1d{suffix}")
        length = u.shape[1]
        if reverse:
            u = u.flip(1)
        if dispatch.fast_convolution(convolution, u):
            out = cuda_backend.convolution(convolution, u, "silu")
            return out.flip(1) if reverse else out
        out = convolution(u.transpose(1, 2))  # (B, E, L + d_conv - 1)
        out = out.narrow(2, 0, length).transpose(1, 2)  # (B, L, E)
        return F.silu(out.flip(1) if reverse else out)
