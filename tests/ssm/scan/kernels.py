"""Stand-ins for mamba-ssm and causal-conv1d that run on a CPU and refuse what the real ones do."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.ssm.scan import cuda_backend
from aum_edge.ssm.scan.ssd import ssd_ref


class FakeScan(torch.autograd.Function):
    """The recurrence and its adjoint, token by token; like the kernel a Function of its own."""

    @staticmethod
    def forward(ctx: Any, u, delta, A, B, C) -> tuple[Tensor, Tensor]:
        groups = u.shape[1] // B.shape[1]
        rows_B, rows_C = (x.float().repeat_interleave(groups, dim=1) for x in (B, C))
        state, states, outputs = torch.zeros(*u.shape[:2], A.shape[1]), [], []
        for t in range(u.shape[2]):
            step = delta[:, :, t, None].float()
            state = torch.exp(step * A) * state + step * rows_B[..., t] * u[:, :, t, None].float()
            states.append(state)
            outputs.append((state * rows_C[..., t]).sum(-1))
        ctx.save_for_backward(u, delta, A, B, C, torch.stack(states, dim=-1))
        ctx.mark_non_differentiable(state)
        return torch.stack(outputs, dim=-1).to(u.dtype), state

    @staticmethod
    def backward(ctx: Any, gy: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        u, delta, A, B, C, states = ctx.saved_tensors
        groups = u.shape[1] // B.shape[1]
        rows_B, rows_C = (x.float().repeat_interleave(groups, dim=1) for x in (B, C))
        gu, gd = torch.zeros_like(u, dtype=torch.float32), torch.zeros_like(u, dtype=torch.float32)
        gB, gC = torch.zeros_like(rows_B), torch.zeros_like(rows_C)
        gA, gh = torch.zeros_like(A), torch.zeros(*u.shape[:2], A.shape[1])
        for t in range(u.shape[2] - 1, -1, -1):
            step, now = delta[:, :, t, None].float(), u[:, :, t, None].float()
            gC[..., t] = gy[:, :, t, None].float() * states[..., t]
            gh = gh + gy[:, :, t, None].float() * rows_C[..., t]
            before = states[..., t - 1] if t else torch.zeros_like(gh)
            decay = torch.exp(step * A)
            gd[:, :, t] = (gh * (before * decay * A + rows_B[..., t] * now)).sum(-1)
            gu[:, :, t] = (gh * step * rows_B[..., t]).sum(-1)
            gB[..., t] = gh * step * now
            gA += (gh * before * decay * step).sum(0)
            gh = gh * decay
        gB, gC = (x.unflatten(1, (-1, groups)).sum(2) for x in (gB, gC))
        return gu.to(u.dtype), gd.to(u.dtype), gA, gB.to(B.dtype), gC.to(C.dtype)


class Kernels:
    """The three functions, with a record of what they were called with."""

    def __init__(self) -> None:
        self.scans: list[tuple[torch.dtype, tuple[int, ...]]] = []
        self.convolutions: list[tuple[bool, str | None]] = []
        self.ssds: list[tuple[int, ...]] = []

    def selective_scan_fn(
        self,
        u,
        delta,
        A,
        B,
        C,
        D=None,
        z=None,
        delta_bias=None,
        delta_softplus=False,
        return_last_state=False,
    ):
        rows = (u, delta, B, C)
        assert len({x.dtype for x in rows}) == 1
        assert u.dtype in cuda_backend.KINDS
        assert A.dtype == torch.float32
        assert all(x.stride(-1) == 1 or x.shape[-1] == 1 for x in rows)
        assert A.shape[1] <= 256
        assert B.shape == C.shape == (u.shape[0], B.shape[1], A.shape[1], u.shape[2])
        assert D is None
        assert z is None
        assert delta_bias is None
        assert not delta_softplus
        self.scans.append((u.dtype, tuple(u.shape)))
        y, last = FakeScan.apply(u, delta, A, B, C)
        return (y, last) if return_last_state else y

    def causal_conv1d_fn(self, x, weight, bias=None, activation=None):
        last = x.stride(1) == 1 and x.stride(2) > 1
        assert last or x.stride(2) == 1
        if last:
            assert x.shape[1] % 8 == x.stride(0) % 8 == x.stride(2) % 8 == 0
        assert weight.shape[0] == x.shape[1]
        assert 2 <= weight.shape[1] <= 4
        assert bias is None or bias.dtype == weight.dtype
        self.convolutions.append((last, activation))
        padded = F.pad(x.float(), (weight.shape[1] - 1, 0))
        windows = padded.unfold(2, weight.shape[1], 1)
        y = torch.einsum("bclw,cw->bcl", windows, weight.float())
        y = y if bias is None else y + bias.float()[:, None]
        return (F.silu(y) if activation else y).to(x.dtype)

    def mamba_chunk_scan_combined(self, x, dt, A, B, C, chunk_size):
        assert dt.dtype == A.dtype == torch.float32
        assert B.shape == C.shape == (x.shape[0], x.shape[1], 1, B.shape[3])
        assert A.shape == (x.shape[2],)
        assert dt.shape == x.shape[:3]
        assert chunk_size & (chunk_size - 1) == 0
        self.ssds.append(tuple(x.shape))
        return ssd_ref(x, dt.unsqueeze(2), A.unsqueeze(0), B.squeeze(2), C.squeeze(2))


def install(patch: pytest.MonkeyPatch) -> Kernels:
    """Make the adapters believe that the CPU is a CUDA device with both packages."""
    kernels = Kernels()
    homes = {
        "mamba_ssm": {},
        "mamba_ssm.ops": {},
        "mamba_ssm.ops.triton": {},
        cuda_backend.SCAN_HOME[0]: {"selective_scan_fn": kernels.selective_scan_fn},
        cuda_backend.SSD_HOME[0]: {"mamba_chunk_scan_combined": kernels.mamba_chunk_scan_combined},
        cuda_backend.CONVOLUTION_HOME[0]: {"causal_conv1d_fn": kernels.causal_conv1d_fn},
    }
    for name, functions in homes.items():
        module = ModuleType(name)
        module.__dict__.update(functions)
        module.__path__ = []  # type: ignore[attr-defined]
        patch.setitem(sys.modules, name, module)
    patch.setattr(cuda_backend, "DEVICE", "cpu")
    patch.setattr(torch.cuda, "is_available", lambda: True)
    cuda_backend._import.cache_clear()
    return kernels
