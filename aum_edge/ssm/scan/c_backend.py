"""The selective scan and SSD by the C kernel, on tensors of the CPU.

Any real floating type: float64 is computed as such, halves in float32 as everywhere. Work is
split into one part a thread, over batch rows and, where there are fewer rows than threads, over
channels. ``choice`` decides when the kernel is taken, ``library`` which form of it runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import torch
from torch import Tensor

from aum_edge.ssm.scan import c_library

SMALL = 200_000
"""State updates below which a second thread costs more than it brings."""
UNIT = 32
"""Channels that the kernel runs at once; threads share channels by this many."""
KINDS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def backend() -> str:
    """What runs the scan on the CPU: "c" or "torch"."""
    return "torch" if missing() else "c"


def missing() -> str:
    """Why the C kernel cannot be used here; empty where it can."""
    return c_library.missing()


def usable(*tensors: Tensor) -> bool:
    """Whether the C kernel is there and can take these tensors."""
    plain = all(x.dtype in KINDS and x.device.type == "cpu" for x in tensors)
    return plain and all(x.numel() for x in tensors) and not missing()


def compute_dtype(u: Tensor) -> torch.dtype:
    """States live in float32 at least; half inputs are computed in float32 as upstream does."""
    return u.dtype if u.dtype in (torch.float32, torch.float64) else torch.float32


def forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Y (b, L, E) and the last state (b, E, N), as in :func:`aum_edge.ssm.scan.operator.scan`."""
    rows = _Rows.of(u, delta.unsqueeze(2), A.unsqueeze(0), B, C, head=0)
    outputs = {"y": torch.empty_like(rows.u), "last": rows.u.new_empty(u.shape[0], *A.shape)}
    _run(rows, (reverse,), outputs)
    return outputs["y"].to(u.dtype), outputs["last"]


def backward(
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
    rows = _Rows.of(u, delta.unsqueeze(2), A.unsqueeze(0), B, C, head=0)
    gu, gd, gA, gB, gC = _gradients(rows, (reverse,), grad_y, grad_last)
    grads = (gu, gd.squeeze(2), gA.squeeze(0), gB, gC)
    like = (u, delta, A, B, C)
    return tuple(g.to(x.dtype) for g, x in zip(grads, like, strict=True))  # type: ignore[return-value]


def ssd_forward(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, reversals: tuple[bool, ...]
) -> Tensor:
    """The sum of all directions (b, L, H, P); shapes as in :func:`aum_edge.ssm.scan.ssd.ssd`."""
    rows = _Rows.of(u.flatten(2), dt, A, B.unsqueeze(2), C.unsqueeze(2), head=u.shape[3])
    y = torch.empty_like(rows.u)
    _run(rows, reversals, {"y": y})
    return y.view(u.shape).to(u.dtype)


def ssd_backward(
    grad_y: Tensor,
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    reversals: tuple[bool, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, dt, A, B, C."""
    rows = _Rows.of(u.flatten(2), dt, A, B.unsqueeze(2), C.unsqueeze(2), head=u.shape[3])
    grads = _gradients(rows, reversals, grad_y.flatten(2), None)
    like = (u, dt, A, B, C)
    return tuple(g.view(x.shape).to(x.dtype) for g, x in zip(grads, like, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Inputs as the kernel reads them: dense, one type, directions beside tokens.

    u (b, L, E); delta (b, L, dirs, S); A (dirs, E, N) for the scan, (dirs, S) for SSD; B, C
    (b, L, G, N). ``head`` channels share a step in SSD; 0 in the scan.
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    head: int

    @classmethod
    def of(cls, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, head: int) -> _Rows:
        kind = compute_dtype(u)
        u, delta, A, B, C = (x.detach().to(kind).contiguous() for x in (u, delta, A, B, C))
        return cls(u=u, delta=delta, A=A, B=B, C=C, head=head)

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Tensors by the kernel's names."""
        return {"u": self.u, "delta": self.delta, "A": self.A, "B": self.B, "C": self.C}


@dataclass(frozen=True)
class _Part:
    """What one thread runs."""

    rows: slice
    first: int
    end: int


def _gradients(
    rows: _Rows, reversals: tuple[bool, ...], grad_y: Tensor, grad_last: Tensor | None
) -> tuple[Tensor, ...]:
    """Gradients of u, delta, A, B, C in the layout of ``rows``, the same on every run."""
    kind = rows.u.dtype
    given = {"gy": grad_y.detach().to(kind).contiguous()}
    if grad_last is not None:
        given["g_last"] = grad_last.detach().to(kind).contiguous()
    parts = _split(rows)
    results = {"gu": torch.empty_like(rows.u), "gd": torch.zeros_like(rows.delta)}
    shared = {"gA": rows.A, "gB": rows.B, "gC": rows.C}
    sums = [{name: torch.zeros_like(x) for name, x in shared.items()} for _ in parts[:1]]
    by_channel = any(part.end - part.first < rows.u.shape[2] for part in parts)
    for _ in parts[1:]:
        own = {name: torch.zeros_like(x) for name, x in shared.items()} if by_channel else sums[0]
        sums.append(own | {"gA": torch.zeros_like(rows.A)})
    _each(rows, reversals, parts, [given | results | own for own in sums], backward=True)
    grads = dict(sums[0])
    for name in ("gA", "gB", "gC") if by_channel else ("gA",):
        for own in sums[1:]:
            grads[name] = grads[name] + own[name]
    return results["gu"], results["gd"], grads["gA"], grads["gB"], grads["gC"]


def _run(rows: _Rows, reversals: tuple[bool, ...], outputs: dict[str, Tensor]) -> None:
    parts = _split(rows)
    _each(rows, reversals, parts, [outputs] * len(parts), backward=False)


def _split(rows: _Rows) -> list[_Part]:
    """One part a thread: ranges of batch rows, of channels where rows are few, or both."""
    batch, _, channels = rows.u.shape
    d_state = rows.B.shape[3]
    threads = max(1, torch.get_num_threads()) if rows.u.numel() * d_state > SMALL else 1
    unit = UNIT if not rows.head else rows.head * -(-UNIT // rows.head)
    by_rows = min(threads, batch)
    by_channels = max(1, min(threads // by_rows, channels // unit))
    across = [batch * i // by_rows for i in range(by_rows + 1)]
    blocks = -(-channels // unit)
    along = [min(channels, unit * (blocks * i // by_channels)) for i in range(by_channels + 1)]
    return [
        _Part(slice(a, b), first, end)
        for (a, b), (first, end) in product(pairwise(across), pairwise(along))
    ]


def _each(
    rows: _Rows,
    reversals: tuple[bool, ...],
    parts: list[_Part],
    outputs: list[dict[str, Tensor]],
    backward: bool,
) -> None:
    """Run every part with its own outputs, each on a thread of its own."""

    def work(part: _Part, own: dict[str, Tensor]) -> None:
        _directions(rows, reversals, part, own, backward)

    if len(parts) == 1:
        work(parts[0], outputs[0])
    else:
        list(_pool(len(parts)).map(work, parts, outputs))


def _directions(
    rows: _Rows, reversals: tuple[bool, ...], part: _Part, own: Mapping[str, Tensor], backward: bool
) -> None:
    """Every direction after the other; the later ones add to the first one's y and gu."""
    numbers = {
        "length": rows.u.shape[1],
        "channels": rows.u.shape[2],
        "d_state": rows.B.shape[3],
        "groups": rows.B.shape[2],
        "head": rows.head,
        "step_row": rows.delta.shape[2] * rows.delta.shape[3],
        "is_double": int(rows.u.dtype == torch.float64),
        "batch": part.rows.stop - part.rows.start,
        "first": part.first,
        "end": part.end,
    }
    for place, reverse in enumerate(reversals):
        views = {}
        for name, x in (rows.inputs | dict(own)).items():
            if name in ("A", "gA"):
                views[name] = x[place]
            elif name in ("delta", "gd"):
                views[name] = x[part.rows, :, place]
            else:
                views[name] = x[part.rows]
        task = c_library.job(views, reverse=int(reverse), add=int(place > 0), **numbers)
        c_library.run(task, backward)


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="aum-scan")


if hasattr(os, "register_at_fork"):
    # A forked process has its parent's pools without their threads, and would wait forever.
    os.register_at_fork(after_in_child=_pool.cache_clear)
