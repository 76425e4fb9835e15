"""SSD for training on a CPU: linear in memory and length, with an analytic backward pass.

The C kernel runs it where there is one. Without, the sequence is cut into chunks: token pairs of
one chunk meet in matrices, chunks pass each other a state (P, N) a head. Backward keeps nothing
but the inputs; it walks the chunks from the last to the first and recomputes what it needs.
Reference: Dao & Gu, arXiv 2405.21060, section 6 (block decomposition).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from aum_edge.ssm.scan import c_backend, dispatch
from aum_edge.ssm.scan.c_backend import compute_dtype

CHUNK = 32
"""Tokens that meet in one matrix of the pure-torch form."""
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""u (b, L, H, P), dt (b, L, dirs, H), A (dirs, H), B and C (b, L, N) as in ``ssm.ssd.ssd``."""
Chunk = tuple[Tensor, Tensor, Tensor, Tensor]
"""dt*u (b, H, q, P), sums of dt*A within the chunk (b, H, q), B and C (b, 1, q, N)."""


class ChunkedSSD(torch.autograd.Function):
    """``apply(u, dt, A, B, C, ways)``: y (b, L, H, P) of all directions; no second derivatives."""

    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        reversals: tuple[bool, ...],
    ) -> Tensor:
        """Output of all directions."""
        ctx.save_for_backward(u, dt, A, B, C)
        ctx.reversals = reversals
        if dispatch.c_ssd(u, dt, A, B, C):
            return c_backend.ssd_forward(u, dt, A, B, C, reversals)
        with torch.autocast(u.device.type, enabled=False):
            return forward((u, dt, A, B, C), reversals)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs."""
        u, dt, A, B, C = ctx.saved_tensors
        if dispatch.c_ssd(u, dt, A, B, C):
            return (*c_backend.ssd_backward(grad_y, u, dt, A, B, C, ctx.reversals), None)
        with torch.autocast(u.device.type, enabled=False):
            return (*gradients(grad_y, (u, dt, A, B, C), ctx.reversals), None)


def forward(inputs: Inputs, reversals: tuple[bool, ...]) -> Tensor:
    """The sum of all directions in pure torch, computed in float32 at least."""
    u = inputs[0]
    total = None
    for place, future in enumerate(reversals):
        turn, chunks = _direction(inputs, place, future)
        state, outputs = None, []
        for chunk in chunks:
            y, state = _output(chunk, state)
            outputs.append(y)
        y = turn(torch.cat(outputs, dim=2).transpose(1, 2))  # (b, H, L, P) to (b, L, H, P)
        total = y if total is None else total + y
    return torch.zeros_like(u) if total is None else total.to(u.dtype)


def gradients(grad_y: Tensor, inputs: Inputs, reversals: tuple[bool, ...]) -> Inputs:
    """Gradients of u, dt, A, B, C in pure torch."""
    u, dt, A, B, C = inputs
    kind = compute_dtype(u)
    sums = [torch.zeros_like(x, dtype=kind) for x in (u, B, C)]
    g_dt, g_A = torch.zeros_like(dt, dtype=kind), torch.zeros_like(A, dtype=kind)
    for place, future in enumerate(reversals):
        turn, chunks = _direction(inputs, place, future)
        gy = turn(grad_y.to(kind)).transpose(1, 2).split(CHUNK, dim=2)  # (b, H, q, P) each
        g_x, g_rate, g_B, g_C = (turn(x) for x in _adjoint(chunks, gy))
        step = dt[:, :, place].to(kind)
        g_dt[:, :, place] = g_rate * A[place].to(kind) + (g_x * u.to(kind)).sum(dim=3)
        g_A[place] = (g_rate * step).sum(dim=(0, 1))
        sums[0] += g_x * step.unsqueeze(3)
        sums[1] += g_B
        sums[2] += g_C
    g_u, g_B, g_C = (x.to(like.dtype) for x, like in zip(sums, (u, B, C), strict=True))
    return g_u, g_dt.to(dt.dtype), g_A.to(A.dtype), g_B, g_C


def _direction(
    inputs: Inputs, place: int, future: bool
) -> tuple[Callable[[Tensor], Tensor], list[Chunk]]:
    """How to put tokens (dim 1) in running order and back, and the chunks of one direction."""
    u, dt, A, B, C = (x.to(compute_dtype(inputs[0])) for x in inputs)
    turn: Callable[[Tensor], Tensor] = (lambda x: x.flip(1)) if future else (lambda x: x)
    step = dt[:, :, place]
    x = turn(u * step.unsqueeze(3)).transpose(1, 2)  # (b, H, L, P)
    rate = turn(step * A[place]).transpose(1, 2)  # (b, H, L)
    rows = [turn(y).unsqueeze(1) for y in (B, C)]  # (b, 1, L, N) each
    edges = [*range(0, u.shape[1], CHUNK), u.shape[1]]
    spans = [slice(a, b) for a, b in pairwise(edges)]
    return turn, [
        (x[:, :, s], rate[:, :, s].cumsum(dim=2), rows[0][:, :, s], rows[1][:, :, s]) for s in spans
    ]


def _pairs(total: Tensor) -> Tensor:
    """exp(total[t] - total[s]) for s up to t, else 0: (b, H, q, q); no exponent is positive."""
    length = total.shape[2]
    hidden = torch.ones(length, length, dtype=torch.bool, device=total.device).triu(1)
    return (total.unsqueeze(3) - total.unsqueeze(2)).masked_fill(hidden, -torch.inf).exp_()


def _output(chunk: Chunk, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Output (b, H, q, P) of a chunk and the state after it (b, H, N, P)."""
    x, total, B, C = chunk
    y = (_pairs(total) * (C @ B.mT)) @ x
    after = _entering(total, B).mT @ x  # (b, H, N, P)
    if state is not None:
        y = y + total.exp().unsqueeze(3) * (C @ state)
        after = after + total[:, :, -1:, None].exp() * state
    return y, after


def _entering(total: Tensor, B: Tensor) -> Tensor:
    """B of each token decayed to the end of the chunk, (b, H, q, N)."""
    return (total[:, :, -1:] - total).exp().unsqueeze(3) * B


def _adjoint(chunks: list[Chunk], gy: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Gradients of dt*u (b, L, H, P), dt*A (b, L, H), B and C (b, L, N) in running order."""
    states: list[Tensor | None] = [None]
    for x, total, B, _ in chunks[:-1]:
        before, after = states[-1], _entering(total, B).mT @ x
        decay = total[:, :, -1:, None].exp()
        states.append(after if before is None else after + decay * before)
    found: list[tuple[Tensor, ...]] = []
    carry = None
    for chunk, g, state in zip(reversed(chunks), reversed(gy), reversed(states), strict=True):
        *rows, carry = _chunk_adjoint(chunk, g, state, carry)
        found.append(tuple(rows))
    joined = [torch.cat([rows[i] for rows in reversed(found)], dim=2) for i in range(4)]
    g_x, g_rate, g_B, g_C = joined
    # (b, H, L, P), (b, H, L) and twice (b, 1, L, N)
    return g_x.transpose(1, 2), g_rate.transpose(1, 2), g_B.squeeze(1), g_C.squeeze(1)


def _chunk_adjoint(
    chunk: Chunk, gy: Tensor, state: Tensor | None, carry: Tensor | None
) -> tuple[Tensor, ...]:
    """Gradients of a chunk's dt*u, dt*A, B, C and of the state before it.

    ``state`` is the state before the chunk and ``carry`` the gradient of the one behind it, both
    (b, H, N, P); None is zero.
    """
    x, total, B, C = chunk
    weights = _pairs(total)
    scores = C @ B.mT
    seen = gy @ x.mT
    g_scores = (weights * seen).sum(dim=1, keepdim=True)
    mixed = weights * scores
    g_x, g_C, g_B = mixed.mT @ gy, g_scores @ B, g_scores.mT @ C
    mixed = mixed * seen
    g_total = mixed.sum(dim=3) - mixed.sum(dim=2)
    grown = total.exp().unsqueeze(3)
    before = (grown * C).mT @ gy
    if state is not None:
        left = grown * (gy @ state.mT)
        g_C = g_C + left.sum(dim=1, keepdim=True)
        g_total = g_total + (left * C).sum(dim=3)
    if carry is not None:
        entering = _entering(total, B)
        g_x = g_x + entering @ carry
        pushed = x @ carry.mT
        g_B = g_B + ((total[:, :, -1:] - total).exp().unsqueeze(3) * pushed).sum(1, keepdim=True)
        through = (entering * pushed).sum(dim=3)
        g_total = g_total - through
        g_total[:, :, -1] += through.sum(dim=2)
        decay = total[:, :, -1:, None].exp()
        before = before + decay * carry
        if state is not None:
            g_total[:, :, -1] += (decay * carry * state).sum(dim=(2, 3))
    g_rate = g_total.flip(2).cumsum(dim=2).flip(2)
    return g_x, g_rate, g_B, g_C, before
