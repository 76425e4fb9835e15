"""The selective scan as one operator, ``torch.ops.aum_edge.scan``.

Counters, exporters and pruners see exactly this operator, whatever computes it. Backward is a
second operator that recomputes the states chunk by chunk, so no (batch, L, E, N) tensor is kept.
Reference: Gu & Dao, arXiv 2312.00752, Algorithm 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aum_edge.ssm import choice, cuda, native
from aum_edge.ssm.native import compute_dtype

CHUNK = 32
"""Tokens whose states exist at once in the pure-torch backward."""
Grads = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@torch.library.custom_op("aum_edge::scan", mutates_args=())
def scan(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t];  y[t] = C[t] . h[t].

    Shape:
        u, delta: (batch, L, E), delta after softplus; A: (E, N), negative; B, C: (batch, L, G, N),
        group g serves channels g*E/G onwards. Returns y (batch, L, E) and the last state
        (batch, E, N). ``reverse`` runs from the last token to the first.

    Cost: (4 N + 1) MACs and N exponentials a channel and token.
    """
    backend = choice.backend(u, delta, A, B, C)
    if backend != "torch":
        return (native if backend == "c" else cuda).forward(u, delta, A, B, C, reverse)
    with torch.autocast(u.device.type, enabled=False):
        return _forward(u, delta, A, B, C, reverse)


def _forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """The scan in pure torch, in float32 at least."""
    kind = compute_dtype(u)
    parts = _to_chunks(u.to(kind), delta.to(kind), A.to(kind), B.to(kind), C.to(kind), reverse)
    state = _zero_state(*parts)
    outputs = []
    for piece in _pieces(parts):
        states = _states(piece, parts[2], state)
        outputs.append(torch.einsum("blgne,blgn->blge", states, piece[3]))
        state = states[:, -1].clone()
    y = torch.cat(outputs, dim=1).flatten(2) if outputs else torch.zeros_like(u, dtype=kind)
    last = state.permute(0, 1, 3, 2).reshape(u.shape[0], u.shape[2], A.shape[1])
    return (y.flip(1) if reverse else y).to(u.dtype).contiguous(), last.contiguous()


@torch.library.custom_op("aum_edge::scan_backward", mutates_args=())
def scan_backward(
    grad_y: Tensor,
    grad_last: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    reverse: bool,
) -> Grads:
    """Gradients of u, delta, A, B, C; shapes as in :func:`scan`. No ``grad_last`` is zeros."""
    backend = choice.backend(u, delta, A, B, C)
    if backend != "torch":
        kernel = native if backend == "c" else cuda
        return kernel.backward(grad_y, grad_last, u, delta, A, B, C, reverse)
    if grad_last is None:
        grad_last = u.new_zeros(u.shape[0], *A.shape, dtype=compute_dtype(u))
    with torch.autocast(u.device.type, enabled=False):
        return _gradients((grad_y, grad_last), u, delta, A, B, C, reverse)


def _gradients(
    grads_out: tuple[Tensor, Tensor],
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    reverse: bool,
) -> Grads:
    """Gradients in pure torch, in float32 at least."""
    grad_y, grad_last = grads_out
    kind = compute_dtype(u)
    parts = _to_chunks(u.to(kind), delta.to(kind), A.to(kind), B.to(kind), C.to(kind), reverse)
    gy = (grad_y.flip(1) if reverse else grad_y).to(kind).unflatten(2, parts[2].shape[::2])
    pieces = list(_pieces(parts))
    starts = _chunk_starts(pieces, parts)
    groups, _, width = parts[2].shape
    carry = grad_last.to(kind).unflatten(1, (groups, width)).permute(0, 1, 3, 2).clone()
    grad_A = torch.zeros_like(parts[2])
    grads: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    end = u.shape[1]
    for piece, start in zip(reversed(pieces), reversed(starts), strict=True):
        begin = end - piece[0].shape[1]
        *rows, carry, in_A = _chunk_gradients(piece, parts[2], start, gy[:, begin:end], carry)
        grads.append((rows[0], rows[1], rows[2], rows[3]))
        grad_A += in_A
        end = begin
    joined = [torch.cat([row[i] for row in reversed(grads)], dim=1) for i in range(4)]
    if reverse:
        joined = [row.flip(1) for row in joined]
    flat = grad_A.permute(0, 2, 1).reshape(A.shape)
    gu, gd, gB, gC = joined
    return (
        gu.flatten(2).to(u.dtype).contiguous(),
        gd.flatten(2).to(delta.dtype).contiguous(),
        flat.to(A.dtype).contiguous(),
        gB.to(B.dtype).contiguous(),
        gC.to(C.dtype).contiguous(),
    )


Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Piece = tuple[Tensor, Tensor, Tensor, Tensor]


def _to_chunks(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool) -> Parts:
    """Group the channels and put time in running order: u, delta (b, L, G, E/G), A (G, N, E/G)."""
    groups, width = B.shape[2], u.shape[2] // B.shape[2]
    if reverse:
        u, delta, B, C = u.flip(1), delta.flip(1), B.flip(1), C.flip(1)
    grouped = A.unflatten(0, (groups, width)).permute(0, 2, 1).contiguous()
    return u.unflatten(2, (groups, width)), delta.unflatten(2, (groups, width)), grouped, B, C


def _zero_state(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    return u.new_zeros(u.shape[0], *A.shape)


def _pieces(parts: Parts) -> list[Piece]:
    """(u, delta, B, C) of each chunk of tokens."""
    u, delta, _, B, C = parts
    spans = [slice(i, i + CHUNK) for i in range(0, u.shape[1], CHUNK)]
    return [(u[:, span], delta[:, span], B[:, span], C[:, span]) for span in spans]


def _states(piece: Piece, A: Tensor, state: Tensor) -> Tensor:
    """All states (b, chunk, G, N, E/G) of a chunk that starts from ``state``."""
    u, delta, B, _ = piece
    decay = torch.exp(delta.unsqueeze(3) * A)
    states = (delta * u).unsqueeze(3) * B.unsqueeze(4)
    for t in range(states.shape[1]):
        states[:, t].addcmul_(decay[:, t], state)
        state = states[:, t]
    return states


def _chunk_starts(pieces: list[Piece], parts: Parts) -> list[Tensor]:
    """The state before each chunk; only the earlier chunks have to be run again."""
    state = _zero_state(*parts)
    starts = []
    for piece in pieces:
        starts.append(state)
        if piece is not pieces[-1]:
            state = _states(piece, parts[2], state)[:, -1].clone()
    return starts


def _chunk_gradients(
    piece: Piece, A: Tensor, start: Tensor, gy: Tensor, carry: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, B, C, of the state before the chunk, and of A."""
    u, delta, B, C = piece
    states = _states(piece, A, start)
    decay = torch.exp(delta.unsqueeze(3) * A)
    gh = gy.unsqueeze(3) * C.unsqueeze(4)
    for t in range(gh.shape[1] - 1, -1, -1):
        gh[:, t] += carry
        carry = gh[:, t] * decay[:, t]
    before = torch.cat([start.unsqueeze(1), states[:, :-1]], dim=1)
    in_exponent = gh * before * decay
    g_delta_u = torch.einsum("blgne,blgn->blge", gh, B)
    g_delta = torch.einsum("blgne,gne->blge", in_exponent, A) + g_delta_u * u
    g_u = g_delta_u * delta
    g_B = torch.einsum("blgne,blge->blgn", gh, delta * u)
    g_C = torch.einsum("blgne,blge->blgn", states, gy)
    g_A = torch.einsum("blgne,blge->gne", in_exponent, delta)
    return g_u, g_delta, g_B, g_C, carry, g_A


@scan.register_fake
def _(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    state = u.new_empty(u.shape[0], u.shape[2], A.shape[1], dtype=compute_dtype(u))
    return torch.empty_like(u, memory_format=torch.contiguous_format), state


@scan_backward.register_fake
def _(
    grad_y: Tensor,
    grad_last: Tensor | None,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    reverse: bool,
) -> Grads:
    dense = torch.contiguous_format
    like = [torch.empty_like(x, memory_format=dense) for x in (u, delta, A, B, C)]
    return like[0], like[1], like[2], like[3], like[4]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, reverse = inputs
    ctx.save_for_backward(*tensors)
    ctx.set_materialize_grads(False)
    ctx.reverse = reverse


def _backward(ctx: Any, grad_y: Tensor | None, grad_last: Tensor | None) -> tuple[Any, ...]:
    if grad_y is None:
        grad_y = torch.zeros_like(ctx.saved_tensors[0])
    grads = scan_backward(grad_y.contiguous(), grad_last, *ctx.saved_tensors, ctx.reverse)
    return (*grads, None)


scan.register_autograd(_backward, setup_context=_save)
