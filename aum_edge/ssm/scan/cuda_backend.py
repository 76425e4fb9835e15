"""CUDA kernels of mamba-ssm and causal-conv1d, taken as they are published.

Our layout is tokens first, (batch, L, channels), and a scan may run from the last token to the
first; theirs is channels first and forward only. The adapters here turn and flip around the
kernels, so that no patched package is needed for a second direction.

Interfaces: ``mamba_ssm.ops.selective_scan_interface.selective_scan_fn``,
``mamba_ssm.ops.triton.ssd_combined.mamba_chunk_scan_combined`` (both mamba-ssm 2) and
``causal_conv1d.causal_conv1d_fn`` (causal-conv1d 1.4 and later).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEVICE = "cuda"
"""Type of the devices whose tensors the kernels take."""
MOST_STATES = 256
WIDTHS = (2, 3, 4)
"""Widths of the depthwise convolution that causal-conv1d has kernels for."""
KINDS = (torch.float32, torch.float16, torch.bfloat16)
ALIGNED = 8
"""Strides and channels of tokens-first rows must be multiples of this in causal-conv1d."""
SCAN_HOME = ("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn")
CONVOLUTION_HOME = ("causal_conv1d", "causal_conv1d_fn")
SSD_HOME = ("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined")
SSD_LONG = 512
"""Tokens from which mamba-ssm's chunked SSD is taken; below, one matrix product is as good."""
SSD_CHUNK = 64
SSD_WIDTHS = (16, 32, 64, 128, 256)
"""States and head widths that the chunked kernel's matrix blocks take."""


def missing() -> str:
    """Why mamba-ssm's scan cannot be used here; empty where it can."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return _import(*SCAN_HOME)[1]


def missing_convolution() -> str:
    """Why causal-conv1d cannot be used here; empty where it can."""
    if not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return _import(*CONVOLUTION_HOME)[1]


def usable(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> bool:
    """Whether the scan kernel is there and can take these tensors."""
    tensors = (u, delta, A, B, C)
    plain = all(x.device.type == DEVICE and x.dtype in KINDS and x.numel() for x in tensors)
    return plain and A.shape[1] <= MOST_STATES and not missing()


def forward(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """Y (b, L, E) and the last state (b, E, N), as in :func:`aum_edge.ssm.scan.operator.scan`."""
    rows = _rows(u, delta, A, B, C, reverse)
    with torch.no_grad():
        y, last = _scan()(*rows, None, None, None, False, True)
    y = y.transpose(1, 2)  # (b, L, E)
    return (y.flip(1) if reverse else y).to(u.dtype).contiguous(), last.float().clone()


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
    """Gradients of u, delta, A, B, C; the kernel's forward is run again, nothing was kept.

    The kernel ignores the gradient of the last state. It is given as that of N more tokens which
    leave the state as it is (delta 0) and read one component each (C one-hot).
    """
    length = u.shape[1]
    rows = list(_rows(u, delta, A, B, C, reverse))
    gy = (grad_y.flip(1) if reverse else grad_y).transpose(1, 2).to(rows[0].dtype)  # (b, E, L)
    if grad_last is not None:
        rows, gy = _with_readers(rows, gy, grad_last)
    leaves = [x.detach().requires_grad_() for x in rows]
    with torch.enable_grad():
        y = _scan()(*leaves, None, None, None, False, False)
    grads = torch.autograd.grad(y, leaves, gy.contiguous())
    gu, gd, gA, gB, gC = grads
    tokens = [
        gu.transpose(1, 2),  # (b, L, E)
        gd.transpose(1, 2),  # (b, L, E)
        gB.permute(0, 3, 1, 2),  # (b, G, N, L) to (b, L, G, N)
        gC.permute(0, 3, 1, 2),  # (b, L, G, N)
    ]
    tokens = [x[:, :length] for x in tokens]
    gu, gd, gB, gC = (x.flip(1) if reverse else x for x in tokens)
    return (
        gu.to(u.dtype).contiguous(),
        gd.to(delta.dtype).contiguous(),
        gA.to(A.dtype).contiguous(),
        gB.to(B.dtype).contiguous(),
        gC.to(C.dtype).contiguous(),
    )


def _rows(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, reverse: bool
) -> tuple[Tensor, ...]:
    """The kernel's arguments: u, delta (b, E, L), A float32, B, C (b, G, N, L), one dtype."""
    kind = u.dtype
    for other in (delta, B, C):
        kind = torch.promote_types(kind, other.dtype)
    if reverse:
        u, delta, B, C = u.flip(1), delta.flip(1), B.flip(1), C.flip(1)
    channels = [x.transpose(1, 2).to(kind).contiguous() for x in (u, delta)]  # (b, E, L)
    # (b, L, G, N) to (b, G, N, L)
    states = [x.permute(0, 2, 3, 1).to(kind).contiguous() for x in (B, C)]
    return channels[0], channels[1], A.float().contiguous(), states[0], states[1]


def _with_readers(rows: list[Tensor], gy: Tensor, grad_last: Tensor) -> tuple[list[Tensor], Tensor]:
    """N tokens behind the others whose outputs are the components of the last state."""
    u, delta, A, B, C = rows
    d_state = A.shape[1]
    u, delta, B = (F.pad(x, (0, d_state)) for x in (u, delta, B))
    readers = torch.eye(d_state, dtype=C.dtype, device=C.device).expand(*C.shape[:3], d_state)
    return [u, delta, A, B, torch.cat([C, readers], dim=3)], torch.cat(
        [gy, grad_last.to(gy.dtype)], dim=2
    )


def takes_convolution(layer: nn.Module, x: Tensor) -> bool:
    """Whether causal-conv1d can run this depthwise layer on ``x`` (batch, L, channels).

    Not while something looks into the layer (hooks) or records the graph (compile, export).
    """
    if x.device.type != DEVICE or x.dtype not in KINDS or not x.numel():
        return False
    if not isinstance(layer, nn.Conv1d) or layer.weight.dtype not in KINDS:
        return False
    watched = layer._forward_hooks or layer._forward_pre_hooks or torch.compiler.is_compiling()
    one_each = layer.groups == layer.in_channels == layer.out_channels == x.shape[2]
    narrow = layer.kernel_size[0] in WIDTHS and layer.stride == (1,) and layer.dilation == (1,)
    return one_each and narrow and not watched and not missing_convolution()


def convolution(layer: nn.Conv1d, x: Tensor, activation: str | None = None) -> Tensor:
    """The causal depthwise convolution of (batch, L, channels), with SiLU if asked for."""
    rows = x.transpose(1, 2)  # (batch, channels, L)
    kernel, _ = _import(*CONVOLUTION_HOME)
    strides = (x.shape[2], x.stride(0), x.stride(1), x.storage_offset())
    if x.stride(2) != 1 or any(n % ALIGNED for n in strides):
        rows = rows.contiguous()
    return _called(kernel)(
        rows, layer.weight.squeeze(1), bias=layer.bias, activation=activation
    ).transpose(1, 2)


def takes_ssd(u: Tensor, dt: Tensor, B: Tensor) -> bool:
    """Whether the chunked SSD of mamba-ssm should run: CUDA, long, and block-sized."""
    if u.device.type != DEVICE or u.dtype not in KINDS or u.shape[1] < SSD_LONG or not u.numel():
        return False
    if torch.compiler.is_compiling() or not torch.cuda.is_available():
        return False
    sized = u.shape[3] in SSD_WIDTHS and B.shape[2] in SSD_WIDTHS
    return sized and not _import(*SSD_HOME)[1]


def ssd(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """:func:`aum_edge.ssm.scan.ssd.ssd` by one kernel call a direction, the second one flipped.

    Its float32 matrix products may run in TF32, as the package decides.
    """
    kernel = _called(_import(*SSD_HOME)[0])
    kind = u.dtype
    B, C = B.to(kind).unsqueeze(2), C.to(kind).unsqueeze(2)  # (batch, L, 1, N) each
    steps, decay = dt.float(), A.float()
    y = kernel(u.contiguous(), steps[:, :, 0].contiguous(), decay[0], B, C, SSD_CHUNK)
    if dt.shape[2] == 2:
        back = [x.flip(1).contiguous() for x in (u, steps[:, :, 1], B, C)]
        y = y + kernel(back[0], back[1], decay[1], back[2], back[3], SSD_CHUNK).flip(1)
    return y


def _scan() -> Callable[..., Any]:
    return _called(_import(*SCAN_HOME)[0])


def _called(kernel: Callable[..., Any] | None) -> Callable[..., Any]:
    if kernel is None:
        raise RuntimeError("A CUDA kernel was called that is not installed.")
    return kernel


@lru_cache(maxsize=8)
def _import(module: str, name: str) -> tuple[Callable[..., Any] | None, str]:
    """The function, or None and why it cannot be had; a broken build fails in many ways."""
    root = module.partition(".")[0]
    package = root.replace("_", "-")
    try:
        import_module(root)
        return getattr(import_module(module), name), ""
    except ModuleNotFoundError as error:
        if error.name == root:
            return None, f"{package} is not installed"
        return None, f"{package} does not import (it lacks {error.name})"
    except Exception as error:
        return None, f"{package} does not import ({' '.join(str(error).split())[:120]})"
