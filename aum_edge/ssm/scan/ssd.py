"""State space duality: a scan with one decay a head, as matrices over all token pairs.

With few tokens the matrix form needs no loop at all: it exports to a handful of large operators,
and exporters and counters see it. Training and evaluation on a CPU run the linear form instead
(``ssd_function``), with the same values to rounding.
Reference: Dao & Gu, arXiv 2405.21060, section 3 (the quadratic, attention-like form).
"""

from __future__ import annotations

import torch
from torch import Tensor

from aum_edge.ssm.scan import cuda_backend, dispatch
from aum_edge.ssm.scan.ssd_linear import ChunkedSSD

MASKED = -1e30
"""Added to an exponent to make its weight exactly zero."""


def ssd(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    *,
    reversals: tuple[bool, ...] | None = None,
) -> Tensor:
    """y[t] = sum_s (C[t] . B[s]) W[t, s] u[s] over past tokens, over future ones, or over both.

    W[t, s] = dt[s] exp(sum of dt*A between s and t). With two directions the past uses the first
    decay and the future the second, and the token itself counts in both.

    Args:
        u: Input.
        dt: Step sizes of each direction.
        A: Decay rates of each direction.
        B: What enters the state.
        C: What leaves it.
        reversals: Whether each direction looks at the future; without it the first one looks at the
            past and a second one at the future.

    Shape:
        u: (batch, L, H, P); dt: (batch, L, dirs, H), positive; A: (dirs, H), negative;
        B, C: (batch, L, N). Returns (batch, L, H, P).

    Cost: L² (N + H P) + (dirs + 1) L² H + dirs L H MACs. Exponents are never above zero, so nothing
    overflows however long the clip is. On CUDA a long sequence takes mamba-ssm's chunked kernel.
    The linear form on a CPU is counted as the matrices that an exported graph runs.
    """
    reversals = reversals or (False, True)[: dt.shape[2]]
    if reversals != (True,) and dispatch.chunked_ssd(u, dt, B):
        return cuda_backend.ssd(u, dt, A, B, C)
    if dispatch.linear_ssd(u, dt, A, B, C):
        y: Tensor = ChunkedSSD.apply(u, dt, A, B, C, reversals)
        return y
    rate = (dt * A).permute(0, 2, 3, 1)  # (batch, dirs, H, L)
    weights = _weights(rate[:, 0], dt[:, :, 0], reversals[0])  # (batch, H, L, L)
    if len(reversals) == 2:
        weights = weights + _weights(rate[:, 1], dt[:, :, 1], reversals[1])
    scores = torch.matmul(C, B.transpose(1, 2)).unsqueeze(1)  # (batch, 1, L, L)
    # (batch, H, L, L) times (batch, H, L, P), back to (batch, L, H, P)
    return torch.matmul(weights * scores, u.transpose(1, 2)).transpose(1, 2)


def _weights(rate: Tensor, dt: Tensor, future: bool) -> Tensor:
    """W of one direction (batch, H, L, L) from dt*A (batch, H, L) and dt (batch, L, H)."""
    log_decay = torch.cumsum(rate, dim=-1)  # (batch, H, L)
    if future:
        log_decay = rate - log_decay
    # decays (batch, H, L_t, L_s) times step sizes (batch, H, 1, L_s)
    return _decay(log_decay, rate.shape[-1], future) * dt.transpose(1, 2).unsqueeze(2)


def _decay(log_decay: Tensor, length: int, future: bool) -> Tensor:
    """exp(reach[t] - reach[s]) where s may be seen from t, else 0: (batch, H, L, L)."""
    hidden = torch.ones(length, length, dtype=torch.bool, device=log_decay.device)
    hidden = torch.tril(hidden, -1) if future else torch.triu(hidden, 1)
    mask = torch.zeros(length, length, dtype=log_decay.dtype, device=log_decay.device)
    mask = mask.masked_fill(hidden, MASKED)
    return torch.exp(torch.minimum(log_decay.unsqueeze(3) - log_decay.unsqueeze(2) + mask, mask))


def ssd_ref(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """:func:`ssd` as the recurrence it stands for, one token after the other: the oracle."""
    total = torch.zeros_like(u)
    for direction in range(dt.shape[2]):
        order = range(u.shape[1]) if direction == 0 else range(u.shape[1] - 1, -1, -1)
        state = u.new_zeros(u.shape[0], u.shape[2], u.shape[3], B.shape[2])
        for t in order:
            step = dt[:, t, direction]
            decay = torch.exp(step * A[direction])[:, :, None, None]  # (batch, H, 1, 1)
            # (batch, H, P, 1) times (batch, 1, 1, N)
            push = (step[:, :, None] * u[:, t]).unsqueeze(3) * B[:, t, None, None, :]
            state = decay * state + push
            total[:, t] += torch.einsum("bhpn,bn->bhp", state, C[:, t])
    return total
