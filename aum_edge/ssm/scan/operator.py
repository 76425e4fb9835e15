"""The selective scan as one operator, ``torch.ops.aum_edge.scan``.

Counters, exporters and pruners see exactly this operator, whatever computes it. Backward is a
second operator that recomputes the states chunk by chunk, so no (batch, L, E, N) tensor is kept.
Reference: Gu & Dao, arXiv 2312.00752, Algorithm 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from aum_edge.ssm.scan import c_backend, cuda_backend, dispatch, torch_backend
from aum_edge.ssm.scan.c_backend import compute_dtype

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

    Raises:
        ValueError: If shapes disagree: the kernels trust them.
    """
    _check(u, delta, A, B, C)
    backend = dispatch.backend(u, delta, A, B, C)
    if backend != "torch":
        return (c_backend if backend == "c" else cuda_backend).forward(u, delta, A, B, C, reverse)
    with torch.autocast(u.device.type, enabled=False):
        return torch_backend.forward(u, delta, A, B, C, reverse)


def _check(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> None:
    batch, length, channels = u.shape
    groups = B.shape[2] if B.ndim == 4 else 0
    states = (batch, length, groups, A.shape[-1])
    agree = delta.shape == u.shape and A.ndim == 2 and A.shape[0] == channels
    if not agree or not groups or channels % groups or B.shape != C.shape or B.shape != states:
        shapes = ", ".join(str(tuple(x.shape)) for x in (u, delta, A, B, C))
        raise ValueError(
            "The scan takes u, delta (batch, L, E), A (E, N) and B, C (batch, L, G, N), where G "
            f"divides E; got {shapes}."
        )


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
    backend = dispatch.backend(u, delta, A, B, C)
    if backend != "torch":
        kernel = c_backend if backend == "c" else cuda_backend
        return kernel.backward(grad_y, grad_last, u, delta, A, B, C, reverse)
    with torch.autocast(u.device.type, enabled=False):
        return torch_backend.gradients(grad_y, grad_last, u, delta, A, B, C, reverse)


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
