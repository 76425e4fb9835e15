"""The selective scan and its gradients in pure torch, any device and real type, no compiler.

Written for a CPU's caches and torch's cost a call: time runs along the first axis, so that every
token's states are one dense block; a few batch rows and CHUNK tokens at a time live in buffers
that are used again and again. Backward recomputes states chunk by chunk from one kept state a
chunk, so its memory grows with length / CHUNK.
Reference: Gu & Dao, arXiv 2312.00752, section 3.3.2 (recomputation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aum_edge.ssm.scan.c_backend import compute_dtype

CHUNK = 32
"""Tokens whose states exist at once."""
BUFFER = 800_000
"""Elements of one buffer of states: three of them should stay in a CPU's last cache."""


def forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Y (b, L, E) and the last state (b, E, N); shapes: :func:`aum_edge.ssm.scan.operator.scan`."""
    rows = _Rows.of(u, delta, A, B, C, reverse)
    y, last = torch.zeros_like(rows.u), rows.state(slice(None))
    buffers = rows.buffers(2)
    for some in rows.batches():
        state = last[:, some]
        for span in rows.spans():
            decay, states = rows.fill(span, some, buffers)
            state.copy_(_advance(decay, states, state))
            _weighted(states, rows.C[span, :, some], y[span, some])
    y = y.flip(0) if reverse else y
    y = y.transpose(0, 1).flatten(2).to(u.dtype).contiguous()  # (L, b, G, W) to (b, L, E)
    # (N, b, G, W) to (b, E, N)
    return y, last.permute(1, 2, 3, 0).flatten(1, 2).contiguous()


def gradients(
    grad_y: Tensor,
    grad_last: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, B, C."""
    rows = _Rows.of(u, delta, A, B, C, reverse)
    gy = _time_first(grad_y, rows.u.dtype, rows.A.shape[2], reverse)  # (L, b, G, W)
    carry = rows.state(slice(None))
    if grad_last is not None:
        carry += grad_last.to(carry.dtype).unflatten(1, carry.shape[2:]).permute(3, 0, 1, 2)
    grads = _Rows(*(torch.zeros_like(x) for x in (rows.u, rows.u, rows.A, rows.B, rows.C)))
    buffers = rows.buffers(3)
    for some in rows.batches():
        starts = _chunk_starts(rows, some, buffers)
        for span, start in zip(reversed(rows.spans()), reversed(starts), strict=True):
            _chunk_gradients(rows, grads, (span, some), (gy, start, carry[:, some]), buffers)
    g_x = grads.u
    g_delta = grads.delta.addcmul_(g_x, rows.u)
    tokens = [(g_x * rows.delta).flatten(2), g_delta.flatten(2)]  # (L, b, E) each
    # (L, N, b, G, 1) to (L, b, G, N)
    tokens += [x.squeeze(4).transpose(1, 2).transpose(2, 3) for x in (grads.B, grads.C)]
    back = [(x.flip(0) if reverse else x).transpose(0, 1) for x in tokens]  # (b, L, ...)
    g_A = grads.A.squeeze(1).permute(1, 2, 0).reshape(A.shape)  # (N, 1, G, W) to (E, N)
    found = (back[0], back[1], g_A, back[2], back[3])
    like = (u, delta, A, B, C)
    dense = [g.to(x.dtype).contiguous() for g, x in zip(found, like, strict=True)]
    return dense[0], dense[1], dense[2], dense[3], dense[4]


@dataclass(frozen=True)
class _Rows:
    """Inputs, or their gradients, in running order with time first and channels in groups.

    u, delta (L, b, G, W); A (N, 1, G, W); B, C (L, N, b, G, 1), with G groups of W channels.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor

    @classmethod
    def of(cls, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool) -> _Rows:
        """Bring tensors of the operator's layout into this one, in float32 at least."""
        kind, groups = compute_dtype(u), B.shape[2]
        rates = A.to(kind).unflatten(0, (groups, -1)).permute(2, 0, 1).unsqueeze(1)  # (N, 1, G, W)
        # (b, L, G, N) to (L, N, b, G)
        states = [(x.flip(1) if reverse else x).to(kind).permute(1, 3, 0, 2) for x in (B, C)]
        return cls(
            _time_first(u, kind, groups, reverse),
            _time_first(delta, kind, groups, reverse),
            rates.contiguous(),
            *(x.unsqueeze(4).contiguous() for x in states),
        )

    def spans(self) -> list[slice]:
        """Chunks of tokens."""
        return [slice(i, i + CHUNK) for i in range(0, self.u.shape[0], CHUNK)]

    def batches(self) -> Iterator[slice]:
        """Batch rows whose buffers stay small, some at a time; none where there are no tokens."""
        tokens, batch = min(CHUNK, self.u.shape[0]), self.u.shape[1]
        if not tokens:
            return
        some = max(1, BUFFER // max(1, tokens * self.A.numel()))
        for first in range(0, batch, some):
            yield slice(first, min(first + some, batch))

    def state(self, some: slice) -> Tensor:
        """Zeros for the states (N, b, G, W) of these batch rows."""
        return self.u.new_zeros(self.A.shape[0], *self.u[:, some].shape[1:])

    def buffers(self, count: int) -> list[Tensor]:
        """Uninitialised buffers for the states (q, N, b, G, W) of the largest chunk."""
        tokens = min(CHUNK, self.u.shape[0])
        some = next(self.batches(), slice(0, 0))
        shape = (tokens, self.A.shape[0], *self.u[:, some].shape[1:])
        return [self.u.new_empty(shape) for _ in range(count)]

    def fill(self, span: slice, some: slice, buffers: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decays exp(delta A) and what enters the states, delta u B, of a chunk."""
        u, delta = self.u[span, some], self.delta[span, some]
        decay, pushes = (x[: u.shape[0], :, : u.shape[1]] for x in buffers[:2])
        torch.mul(delta.unsqueeze(1), self.A, out=decay).exp_()  # (q, N, b, G, W)
        torch.mul((delta * u).unsqueeze(1), self.B[span, :, some], out=pushes)
        return decay, pushes


def _time_first(x: Tensor, kind: torch.dtype, groups: int, reverse: bool) -> Tensor:
    """(b, L, E) to (L, b, G, E/G) in running order."""
    x = (x.flip(1) if reverse else x).to(kind)
    return x.unflatten(2, (groups, x.shape[2] // groups)).transpose(0, 1).contiguous()


def _advance(decay: Tensor, states: Tensor, state: Tensor) -> Tensor:
    """Turn what enters (q, N, b, G, W) into the states themselves; returns the last one."""
    for row, keep in zip(states.unbind(0), decay.unbind(0), strict=True):
        state = row.addcmul_(keep, state)
    return state


def _weighted(rows: Tensor, weights: Tensor, out: Tensor) -> None:
    """Sum over states n of rows[:, n] * weights[:, n] into ``out`` (q, b, G, W)."""
    first, *others = zip(rows.unbind(1), weights.unbind(1), strict=True)
    torch.mul(*first, out=out)
    for row, weight in others:
        out.addcmul_(row, weight)


def _chunk_starts(rows: _Rows, some: slice, buffers: Sequence[Tensor]) -> list[Tensor]:
    """The state before each chunk; only the earlier chunks have to be run again."""
    starts = [rows.state(some)]
    for span in rows.spans()[:-1]:
        decay, states = rows.fill(span, some, buffers)
        starts.append(_advance(decay, states, starts[-1]).clone())
    return starts


def _chunk_gradients(
    rows: _Rows,
    grads: _Rows,
    where: tuple[slice, slice],
    known: Sequence[Tensor],
    buffers: Sequence[Tensor],
) -> None:
    """Write a chunk's gradients of delta*u (as u), delta, B and C and add those of A.

    ``where`` are its tokens and batch rows. ``known`` are the outputs' gradient, the state before
    the chunk, and the gradient of the state behind it, which becomes that of the state before it.
    """
    span, some = where
    gy, start, carry = known[0][span, some].unsqueeze(1), known[1], known[2]  # gy (q, 1, b, G, W)
    decay, states = rows.fill(span, some, buffers)
    gh = buffers[2][: decay.shape[0], :, : decay.shape[2]]
    B, delta = rows.B[span, :, some], rows.delta[span, some]
    torch.mul(gy, rows.C[span, :, some], out=gh)
    keep, behind = decay.unbind(0), gh.unbind(0)
    behind[-1].add_(carry)
    for t in range(len(keep) - 1, 0, -1):
        behind[t - 1].addcmul_(behind[t], keep[t])
    torch.mul(behind[0], keep[0], out=carry)
    # From here on `decay` holds what the decays left of the state before, exp(delta A) h[t-1].
    before = start
    for left, row in zip(keep, states.unbind(0), strict=True):
        before = row.add_(left.mul_(before))
    grads.C[span, :, some] = states.mul_(gy).sum(dim=-1, keepdim=True)
    pushed = (delta * rows.u[span, some]).unsqueeze(1)  # (q, 1, b, G, W)
    grads.B[span, :, some] = torch.mul(gh, pushed, out=states).sum(dim=-1, keepdim=True)
    in_exponent = decay.mul_(gh)
    _weighted(gh, B, grads.u[span, some])
    _weighted(in_exponent, rows.A.unsqueeze(0), grads.delta[span, some])
    grads.A.add_(in_exponent.mul_(delta.unsqueeze(1)).sum(dim=(0, 2), keepdim=True).squeeze(0))
