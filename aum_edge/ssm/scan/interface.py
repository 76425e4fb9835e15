"""``selective_scan`` with the signature of mamba_ssm, and the plain loop it is held against."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.ssm.scan.operator import scan


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run the selective state space over time.

    y[t] = C[t] h[t] + D u[t], gated by SiLU(z), with h[t] = exp(delta[t] A) h[t-1]
    + delta[t] B[t] u[t]. Differentiable in every argument.

    Shape:
        u, delta, z: (batch, E, L); A: (E, N); D, delta_bias: (E,); B, C: (batch, N, L),
        (batch, G, N, L) with group g serving channels g*E/G onwards, or (E, N) constant in time.
        Returns (batch, E, L) in ``u.dtype``, and the last state (batch, E, N) if asked for.

    Cost: 4 N + 2 MACs a channel and token, one more with ``z``. States are float32 at least.

    Raises:
        ValueError: If shapes disagree or A is complex.

    Reference: mamba_ssm ``selective_scan_ref``; Gu & Dao, arXiv 2312.00752, Algorithm 2.
    """
    _check(u, delta, A, B, C)
    kind = u.dtype
    wide = torch.promote_types(kind, torch.float32)
    u, delta = u.to(wide), delta.to(wide)
    if delta_bias is not None:
        delta = delta + delta_bias.to(wide)[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    y, last = _run(u, delta, A.to(wide), B.to(wide), C.to(wide))
    if D is not None:
        y = y + u * D.to(wide)[:, None]
    if z is not None:
        y = y * F.silu(z.to(wide))
    y = y.to(kind)
    return (y, last) if return_last_state else y


def _run(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """The core scan in (batch, E, L) layout with B and C in any of the three layouts."""
    batch, channels, length = u.shape
    groups = math.lcm(*(_groups(x, channels) for x in (B, C)))
    rows_B, rows_C = (_token_rows(x, batch, length, groups) for x in (B, C))
    y, last = scan(u.transpose(1, 2), delta.transpose(1, 2), A, rows_B, rows_C, False)
    return y.transpose(1, 2), last


def _groups(x: Tensor, channels: int) -> int:
    """How many groups B or C has; constant matrices have one for each channel."""
    return {2: channels, 3: 1}.get(x.ndim) or x.shape[1]


def _token_rows(x: Tensor, batch: int, length: int, groups: int) -> Tensor:
    """B or C as (batch, L, groups, N): B and C may come in different numbers of groups."""
    if x.ndim == 2:
        return x.expand(batch, length, *x.shape)
    rows = (x.unsqueeze(1) if x.ndim == 3 else x).permute(0, 3, 1, 2)  # (batch, L, G, N)
    times = groups // rows.shape[2]
    return rows.repeat_interleave(times, dim=2) if times > 1 else rows


def _check(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> None:
    if A.is_complex():
        raise ValueError("selective_scan takes a real A; complex states are not supported.")
    if A.ndim == 2 and not A.shape[1]:
        raise ValueError("selective_scan needs one state or more, got A (E, 0).")
    if u.ndim != 3 or delta.shape != u.shape or A.ndim != 2 or A.shape[0] != u.shape[1]:
        raise ValueError(
            "selective_scan needs u and delta (batch, E, L) and A (E, N), got "
            f"{tuple(u.shape)}, {tuple(delta.shape)} and {tuple(A.shape)}."
        )
    batch, channels, length = u.shape
    for name, x in (("B", B), ("C", C)):
        groups = x.shape[1] if x.ndim == 4 else 1
        allowed = {
            2: (channels, A.shape[1]),
            3: (batch, A.shape[1], length),
            4: (batch, groups, A.shape[1], length),
        }
        wrong = x.ndim not in allowed or tuple(x.shape) != allowed[x.ndim]
        if wrong or not groups or channels % groups:
            raise ValueError(
                f"selective_scan got {name} of shape {tuple(x.shape)}; with u {tuple(u.shape)} and "
                f"A {tuple(A.shape)} it may be (batch, N, L), (batch, G, N, L) or (E, N)."
            )


def selective_scan_ref(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """:func:`selective_scan` as a plain loop over time: slow, in any dtype, the oracle of tests."""
    batch, channels, length = u.shape
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if delta_softplus:
        delta = F.softplus(delta)
    rows_B, rows_C = (_token_rows(x, batch, length, channels).permute(1, 0, 2, 3) for x in (B, C))
    state = u.new_zeros(batch, channels, A.shape[1])
    outputs = []
    for t in range(length):
        step = delta[:, :, t, None]
        state = torch.exp(step * A) * state + step * rows_B[t] * u[:, :, t, None]
        outputs.append((state * rows_C[t]).sum(dim=-1))
    y = torch.stack(outputs, dim=-1) if outputs else torch.zeros_like(u)
    if D is not None:
        y = y + u * D[:, None]
    if z is not None:
        y = y * F.silu(z)
    return (y, state) if return_last_state else y
