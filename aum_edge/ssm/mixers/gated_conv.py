"""A student's mixer with its state space taken out: what is left is a gated convolution."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.ssm.layers import RMSNorm, TokenConv


class GatedConvMixer(nn.Module):
    """out_proj(norm(silu(conv(u)) * silu(z))): the control that asks what the scan is worth.

    Shape: (batch, L, d_model) to the same. After the gated convolution block of MambaOut, Yu and
    Wang, arXiv 2405.07992, with the student's own activation and norm.
    """

    def __init__(self, d_model: int, *, d_inner: int, d_conv: int, causal: bool) -> None:
        super().__init__()
        self.d_inner = d_inner
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.conv1d = TokenConv(d_inner, d_conv, causal)
        self.norm = RMSNorm(d_inner)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix over tokens."""
        u, z = self.in_proj(x).split([self.d_inner, self.d_inner], dim=-1)
        return self.out_proj(self.norm(F.silu(self.conv1d(u)) * F.silu(z)))
