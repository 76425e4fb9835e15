"""The optional C kernel of the scan; without it everything runs in pure torch.

setup.py builds it where a C compiler is found. It takes float32 tensors on the CPU, once it has
passed a small self-test against a case known by hand; ``choice`` decides when it is taken.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

SMALL = 200_000
"""State updates below which a second thread costs more than it brings."""


def backend() -> str:
    """What runs the scan on the CPU: "c" or "torch"."""
    return "c" if _library() is not None else "torch"


def missing() -> str:
    """Why the C kernel cannot be used here; empty where it can."""
    return "" if _library() is not None else "the C kernel was not built or fails its self-test"


def usable(*tensors: Tensor) -> bool:
    """Whether the C kernel is there and can take these tensors."""
    plain = all(x.dtype == torch.float32 and x.device.type == "cpu" for x in tensors)
    return plain and all(x.numel() for x in tensors) and _library() is not None


def forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Y (b, L, E) and the last state (b, E, N), as in :func:`aum_edge.ssm.core.scan`."""
    u, delta, A, B, C = (x.contiguous() for x in (u, delta, A, B, C))
    y = torch.empty_like(u)
    last = u.new_empty(u.shape[0], u.shape[2], A.shape[1])

    def part(rows: slice) -> int:
        inputs = (u[rows], delta[rows], A, B[rows], C[rows], y[rows], last[rows])
        return _call("aum_scan_forward", _sizes(u[rows], A, B, reverse), inputs)

    _split(part, u, A)
    return y, last


def backward(
    grad_y: Tensor,
    grad_last: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    reverse: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, delta, A, B, C."""
    tensors = (grad_y, grad_last, u, delta, A, B, C)
    gy, g_last, u, delta, A, B, C = (x.float().contiguous() for x in tensors)
    gu, gd, gB, gC = (torch.zeros_like(x) for x in (u, delta, B, C))
    pieces: list[Tensor] = []

    def part(rows: slice) -> int:
        gA = torch.zeros_like(A)
        pieces.append(gA)
        inputs = (gy[rows], g_last[rows], u[rows], delta[rows], A, B[rows], C[rows])
        outputs = (gu[rows], gd[rows], gA, gB[rows], gC[rows])
        return _call("aum_scan_backward", _sizes(u[rows], A, B, reverse), inputs + outputs)

    _split(part, u, A)
    return gu, gd, torch.stack(pieces).sum(dim=0), gB, gC


def _sizes(u: Tensor, A: Tensor, B: Tensor, reverse: bool) -> tuple[int, ...]:
    return (*u.shape, A.shape[1], B.shape[2], int(reverse))


def _call(name: str, sizes: tuple[int, ...], tensors: tuple[Tensor, ...]) -> int:
    batch, length, channels, states, groups, reverse = sizes
    numbers = [ctypes.c_int64(n) for n in (batch, length, channels, states, groups)]
    pointers = [ctypes.c_void_p(x.data_ptr()) for x in tensors]
    return int(getattr(_library(), name)(*numbers, ctypes.c_int(reverse), *pointers))


def _split(part: object, u: Tensor, A: Tensor) -> None:
    """Run ``part`` on ranges of batch rows, one a thread; ctypes lets go of Python's lock."""
    batch = u.shape[0]
    threads = min(torch.get_num_threads(), batch) if u.numel() * A.shape[1] > SMALL else 1
    edges = [batch * i // threads for i in range(threads + 1)]
    ranges = [slice(a, b) for a, b in pairwise(edges)]
    if threads == 1:
        codes = [part(ranges[0])]  # type: ignore[operator]
    else:
        codes = list(_pool(threads).map(part, ranges))  # type: ignore[arg-type]
    if any(codes):
        raise MemoryError("The scan's C kernel could not get its working memory.")


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="aum-scan")


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """The kernel, if it was built and gives the right answer on a case known by hand."""
    here = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        path = here / f"_scan{suffix}"
        if path.exists():
            try:
                library = ctypes.CDLL(str(path))
                return library if _answers(library) else None
            except (OSError, AttributeError):
                return None
    return None


def _answers(library: ctypes.CDLL) -> bool:
    """Two tokens, one channel, one state: h = [0.5, 0.5 exp(-1) + 1], y = C h."""
    u, delta = torch.tensor([[[0.5], [1.0]]]), torch.ones(1, 2, 1)
    A, B, C = -torch.ones(1, 1), torch.ones(1, 2, 1, 1), torch.full((1, 2, 1, 1), 2.0)
    y, last = torch.zeros(1, 2, 1), torch.zeros(1, 1, 1)
    numbers = [ctypes.c_int64(n) for n in (1, 2, 1, 1, 1)]
    pointers = [ctypes.c_void_p(x.data_ptr()) for x in (u, delta, A, B, C, y, last)]
    library.aum_scan_forward(*numbers, ctypes.c_int(0), *pointers)
    wanted = torch.tensor([1.0, 2 * (0.5 * 0.36787944 + 1)])
    return bool(torch.allclose(y.flatten(), wanted, atol=1e-5))
