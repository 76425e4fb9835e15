"""The real CUDA kernels against the CPU: values and gradients of every direction."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from aum_edge.ssm.mixers.mamba import MambaMixer
from aum_edge.ssm.scan import cuda_backend, dispatch
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.ssd import ssd

WHY = cuda_backend.missing() or cuda_backend.missing_convolution()
needs_kernels = pytest.mark.skipif(bool(WHY), reason=f"needs CUDA kernels: {WHY}")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
BACKENDS = [pytest.param("torch", marks=needs_cuda), pytest.param("cuda", marks=needs_kernels)]
pytestmark = pytest.mark.gpu


def near(value: Tensor, wanted: Tensor, tolerance: float) -> None:
    error = (value.detach().double().cpu() - wanted.detach().double()).abs().max()
    assert error <= tolerance * (wanted.abs().max() + 1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "groups", "states"), [(1, 1, 16), (513, 1, 16), (40, 2, 8)])
def test_scan(monkeypatch, backend, reverse, length, groups, states) -> None:
    torch.manual_seed(0)
    u, delta = torch.randn(2, length, 32), 0.1 * torch.rand(2, length, 32)
    A, B, C = -states * torch.rand(32, states), *torch.randn(2, 2, length, groups, states)
    cpu = [x.double().requires_grad_() for x in (u, delta, A, B, C)]
    gpu = [x.cuda().requires_grad_() for x in (u, delta, A, B, C)]
    wanted = scan(*cpu, reverse)
    monkeypatch.setenv(dispatch.SWITCH, backend)
    got = scan(*gpu, reverse)
    weights = [torch.randn_like(x) for x in wanted]
    grads = [
        torch.autograd.grad(sum((a * b.to(a)).sum() for a, b in zip(o, weights, strict=True)), x)
        for o, x in ((got, gpu), (wanted, cpu))
    ]
    for value, expected in zip([*got, *grads[0]], [*wanted, *grads[1]], strict=True):
        near(value, expected, 1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("direction", ["fo-fo", "fo-bi", "bi-bi"])
@pytest.mark.parametrize("kind", [None, torch.float16, torch.bfloat16])
def test_mixer(monkeypatch, backend, direction, kind) -> None:
    torch.manual_seed(0)
    cpu = MambaMixer(32, d_inner=64, d_state=16, d_conv=4, dt_rank=2, direction=direction)
    gpu = copy.deepcopy(cpu).cuda()
    cpu.double()
    x = torch.randn(2, 65, 32)
    wanted = cpu(x.double())
    monkeypatch.setenv(dispatch.SWITCH, backend)
    with torch.autocast("cuda", dtype=kind or torch.float16, enabled=kind is not None):
        got = gpu(x.cuda())
    near(got, wanted, 1e-3 if kind is None else 0.05)
    wanted.sum().backward()
    got.float().sum().backward()
    for value, expected in zip(gpu.parameters(), cpu.parameters(), strict=True):
        near(value.grad, expected.grad, 1e-2 if kind is None else 0.2)


@needs_kernels
@pytest.mark.parametrize("directions", [1, 2])
def test_chunked_ssd(directions) -> None:
    torch.manual_seed(0)
    u, dt = torch.randn(2, 600, 2, 32), 0.1 * torch.rand(2, 600, directions, 2)
    A, B, C = -torch.rand(directions, 2), *torch.randn(2, 2, 600, 16)
    assert dispatch.chunked_ssd(u.cuda(), dt.cuda(), B.cuda())
    wanted = ssd(u.double(), dt.double(), A.double(), B.double(), C.double())
    near(ssd(u.cuda(), dt.cuda(), A.cuda(), B.cuda(), C.cuda()), wanted, 1e-2)
