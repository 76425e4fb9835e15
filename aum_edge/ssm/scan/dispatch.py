"""Which implementation runs a scan: pure torch, the C kernel or mamba-ssm's CUDA kernel.

By itself a scan takes the kernel of its tensors' device where there is one that can take them,
and pure torch otherwise. AUM_EDGE_SCAN asks for one by name:

    torch  pure torch on every device
    c      on the CPU the C kernel or an error; CUDA tensors choose as without the switch
    cuda   on CUDA mamba-ssm's kernel or an error; CPU tensors choose as without the switch

A name whose kernel is not there is an error on either device.
"""

from __future__ import annotations

import os
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from aum_edge.errors import RecipeError
from aum_edge.ssm.scan import c_backend, c_library, cuda_backend

SWITCH = "AUM_EDGE_SCAN"
CHOICES = ("torch", "c", "cuda")
Backend = Literal["torch", "c", "cuda"]


def backend(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Backend:
    """Which backend computes the scan of these tensors.

    Raises:
        RecipeError: If AUM_EDGE_SCAN has an unknown value, names a kernel that is not there, or
            one that cannot take these tensors though they are on its device.
    """
    wanted = requested_backend()
    if wanted == "torch":
        return "torch"
    tensors = (u, delta, A, B, C)
    if not all(x.numel() for x in tensors):
        return "torch"
    if c_backend.usable(*tensors):
        return "c"
    if cuda_backend.usable(*tensors):
        return "cuda"
    if wanted == {cuda_backend.DEVICE: "cuda", "cpu": "c"}.get(u.device.type):
        forms = ", ".join(sorted({str(x.dtype).removeprefix("torch.") for x in tensors}))
        limits = f"no float64 and at most {cuda_backend.MOST_STATES} states"
        limits = "real floating types" if wanted == "c" else limits
        raise RecipeError(
            f"{SWITCH}={wanted} cannot run this scan ({forms}; {A.shape[1]} states): that kernel "
            f"takes {limits}. Unset {SWITCH} or set it to torch."
        )
    return "torch"


def fast_convolution(layer: nn.Module, x: Tensor) -> bool:
    """Whether causal-conv1d runs this depthwise layer on ``x`` (batch, L, channels)."""
    return cuda_backend.takes_convolution(layer, x) and requested_backend() != "torch"


def chunked_ssd(u: Tensor, dt: Tensor, B: Tensor) -> bool:
    """Whether mamba-ssm's chunked kernel runs this SSD; shapes as in ``ssm.ssd.ssd``."""
    return cuda_backend.takes_ssd(u, dt, B) and requested_backend() != "torch"


def linear_ssd(*tensors: Tensor) -> bool:
    """Whether SSD of these tensors runs in its linear form, with an analytic backward pass.

    On the CPU always, but for what is to be seen operator by operator: while a graph is recorded
    (compile, export) or a dispatch mode looks on (counters), the matrix form runs.
    """
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]
    if recorded or is_in_torch_dispatch_mode():
        return False
    return all(x.device.type == "cpu" and x.dtype in c_backend.KINDS and x.numel() for x in tensors)


def c_ssd(*tensors: Tensor) -> bool:
    """Whether the C kernel runs the linear form of SSD."""
    return requested_backend() != "torch" and c_backend.usable(*tensors)


def requested_backend() -> Backend | None:
    """The value of AUM_EDGE_SCAN; None where it is unset, empty or ``auto``.

    Raises:
        RecipeError: If it is no choice, or names a kernel that is not there.
    """
    value = os.environ.get(SWITCH, "")
    if value in ("", "auto"):
        return None
    if value == "torch":
        return "torch"
    if value == "c":
        _require(value, c_backend.missing())
        return "c"
    if value == "cuda":
        _require(value, cuda_backend.missing())
        return "cuda"
    raise RecipeError(f"{SWITCH} is `{value}`; it may be {', '.join(CHOICES)}, or unset.")


def _require(value: str, why: str) -> None:
    if why:
        raise RecipeError(f"{SWITCH}={value} cannot be used: {why}. Unset {SWITCH} or set torch.")


def describe() -> dict[str, str]:
    """What runs a float32 scan on each device and why, for people: ``cpu`` and ``cuda``."""
    try:
        wanted = requested_backend()
        form = "" if c_backend.missing() else c_library.describe()
    except RecipeError as error:
        return {"cpu": f"none: {error}", "cuda": f"none: {error}"}
    if wanted == "torch":
        reason = f"torch: {SWITCH}=torch"
        return {"cpu": reason, "cuda": reason}
    why_c, why_cuda = c_backend.missing(), cuda_backend.missing()
    asked = {"c": ["", ""], "cuda": ["", ""]}
    if wanted:
        asked[wanted] = [f" ({SWITCH}={wanted})"] * 2
    return {
        "cpu": f"torch: {why_c}" if why_c else f"c: {form}{asked['c'][0]}",
        "cuda": f"torch: {why_cuda}" if why_cuda else f"cuda: mamba-ssm{asked['cuda'][0]}",
    }
