"""The compiled file of the C kernel: found, loaded, proved on a small case, and its forms listed.

setup.py builds it where a C compiler is found. The file holds one form for each instruction set
(AVX-512, AVX2, and plain code for every CPU of the family) and the best one that this machine has
runs; AUM_EDGE_SCAN_ISA asks for another one by name.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch
from torch import Tensor

from aum_edge.errors import RecipeError

SWITCH = "AUM_EDGE_SCAN_ISA"
SETS = ("plain", "avx2", "avx512")
"""Instruction sets in the order of the kernel's own numbers."""
NUMBERS = (
    *("batch", "length", "channels", "d_state", "groups", "head"),
    *("step_row", "reverse", "add", "first", "end", "is_double"),
)
POINTERS = (
    *("u", "delta", "A", "B", "C", "gy", "g_last"),
    *("y", "last", "gu", "gd", "gA", "gB", "gC"),
)


class Job(ctypes.Structure):
    """One call of the kernel; ``job`` of csrc/scan.c, field by field."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in NUMBERS),
        *((name, ctypes.c_void_p) for name in POINTERS),
    ]


def job(tensors: dict[str, Tensor], **numbers: int) -> Job:
    """A call on these tensors, whose memory must outlive it; pointers not named are null."""
    pointers = {name: x.data_ptr() for name, x in tensors.items()}
    return Job(**numbers, **pointers)


def missing() -> str:
    """Why the C kernel cannot be used here; empty where it can."""
    return _loaded()[1]


def kernel() -> ctypes.CDLL:
    """The loaded kernel.

    Raises:
        RuntimeError: If there is none.
    """
    library, why = _loaded()
    if library is None:
        raise RuntimeError(f"The C kernel of the scan was called without one: {why}.")
    return library


def sets() -> tuple[str, ...]:
    """Instruction sets that this machine can run, the plainest first; empty without a kernel."""
    library, _ = _loaded()
    return SETS[: int(library.aum_sets())] if library is not None else ()


def active_set() -> str:
    """The instruction set that runs: the best one, or what AUM_EDGE_SCAN_ISA asks for.

    Raises:
        RecipeError: If it asks for one that is unknown or that this machine lacks.
    """
    there = sets()
    wanted = os.environ.get(SWITCH, "")
    if wanted in ("", "auto"):
        return there[-1]
    if wanted not in there:
        raise RecipeError(
            f"{SWITCH} is `{wanted}`; on this machine it may be {', '.join(there)}, or unset."
        )
    return wanted


def describe() -> str:
    """The form that runs and why, for people: ``avx512, the best of plain, avx2, avx512``."""
    names = ", ".join(sets())
    if os.environ.get(SWITCH, "") not in ("", "auto"):
        return f"{active_set()} ({SWITCH}; there are {names})"
    if len(sets()) == 1:
        return f"plain, the only form for this {platform.machine()} CPU"
    return f"{active_set()}, the best of {names} on this CPU"


def run(task: Job, backward: bool) -> None:
    """Run a call; other threads run meanwhile, for ctypes lets go of Python's lock.

    Raises:
        MemoryError: If the kernel could not get its working memory.
    """
    chosen = SETS.index(active_set())
    if kernel().aum_run(ctypes.byref(task), ctypes.c_int(chosen), ctypes.c_int(int(backward))):
        raise MemoryError("The scan's C kernel could not get its working memory.")


@lru_cache(maxsize=1)
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    """The kernel, or None and why there is none."""
    here = Path(__file__).parent
    paths = [here / f"_scan{suffix}" for suffix in EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return None, "the C kernel was not built (no C compiler worked at the installation)"
    return load(path)


def load(path: Path) -> tuple[ctypes.CDLL | None, str]:
    """A compiled kernel once all its forms have given the right values, or None and why not."""
    try:
        library = ctypes.CDLL(str(path))
        if library.aum_job_size() != ctypes.sizeof(Job):
            return None, "the C kernel was built from other sources: install aum-edge again"
        wrong = [SETS[i] for i in range(library.aum_sets()) if not _computes(library, i)]
    except (OSError, AttributeError) as error:
        return None, f"the C kernel does not load ({' '.join(str(error).split())[:120]})"
    if wrong:
        return None, f"the C kernel fails its self-test ({', '.join(wrong)})"
    return library, ""


def _computes(library: ctypes.CDLL, chosen: int) -> bool:
    """Two tokens, one channel, one state: h = [0.5, 0.5 exp(-1) + 1], y = C h."""
    u, delta = torch.tensor([[[0.5], [1.0]]]), torch.ones(1, 2, 1)
    A, B, C = -torch.ones(1, 1), torch.ones(1, 2, 1, 1), torch.full((1, 2, 1, 1), 2.0)
    y = torch.zeros(1, 2, 1)
    task = job(
        {"u": u, "delta": delta, "A": A, "B": B, "C": C, "y": y},
        **{"batch": 1, "length": 2, "channels": 1, "d_state": 1, "groups": 1, "step_row": 1},
        **{"end": 1},
    )
    code = library.aum_run(ctypes.byref(task), ctypes.c_int(chosen), ctypes.c_int(0))
    wanted = torch.tensor([1.0, 2 * (0.5 * 0.36787944 + 1)])
    return code == 0 and bool(torch.allclose(y.flatten(), wanted, atol=1e-5))
