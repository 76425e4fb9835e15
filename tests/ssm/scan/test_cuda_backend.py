"""The CUDA adapters on a CPU: stand-in kernels, real transposes, flips, types and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from aum_edge.ssm.layers import TokenConv
from aum_edge.ssm.mixers.mamba import MambaMixer
from aum_edge.ssm.scan import c_backend, cuda_backend, dispatch
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.ssd import ssd, ssd_ref
from tests.ssm.scan.kernels import Kernels, install


@pytest.fixture
def kernels() -> Iterator[Kernels]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(dispatch.SWITCH, raising=False)
        patch.setattr(c_backend, "usable", lambda *_: False)
        yield install(patch)
    cuda_backend._import.cache_clear()


def inputs(length: int = 7, groups: int = 2, states: int = 3, seed: int = 0) -> list[Tensor]:
    torch.manual_seed(seed)
    u, delta = torch.randn(2, length, 6), torch.rand(2, length, 6)
    A = -3 * torch.rand(6, states)
    B, C = (torch.randn(2, length, groups, states) for _ in range(2))
    return [x.requires_grad_() for x in (u, delta, A, B, C)]


def doubles(tensors: list[Tensor]) -> list[Tensor]:
    return [x.detach().double().requires_grad_() for x in tensors]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("with_last", [False, True])
@pytest.mark.parametrize("length", [1, 7])
def test_scan_by_the_kernel_equals_torch(kernels, reverse, groups, with_last, length) -> None:
    got, wanted = inputs(length, groups), doubles(inputs(length, groups))
    sums, gradients = [], []
    for tensors in (got, wanted):
        y, last = scan(*tensors, reverse)
        torch.manual_seed(3)
        weights = [torch.randn(y.shape).to(y), torch.randn(last.shape).to(last)]
        loss = (y * weights[0]).sum() + (last * weights[1]).sum() * with_last
        sums.append((y.double(), last.double()))
        gradients.append(torch.autograd.grad(loss, tensors))
    assert len(kernels.scans) == 2
    for value, expected in zip(*sums, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    for value, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-5)


def test_gradient_of_the_last_state_alone(kernels) -> None:
    got, wanted = inputs(), doubles(inputs())
    grads = [torch.autograd.grad(scan(*x, True)[1].square().sum(), x[:4]) for x in (got, wanted)]
    for value, expected in zip(*grads, strict=True):
        torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_types_under_autocast(kernels, kind) -> None:
    """Half activations beside float32 delta and A: the kernel runs in float32, y is half."""
    u, delta, A, B, C = inputs()
    halves = [x.detach().to(kind).requires_grad_() for x in (u, B, C)]
    y, last = scan(halves[0], delta, A, halves[1], halves[2], False)
    assert kernels.scans[-1][0] == torch.float32
    assert (y.dtype, last.dtype) == (kind, torch.float32)
    y.float().sum().backward()
    assert halves[0].grad is not None
    assert halves[0].grad.dtype == halves[1].grad.dtype == kind
    assert delta.grad.dtype == A.grad.dtype == torch.float32
    scan(halves[0], delta.to(kind), A, halves[1], halves[2], False)
    assert kernels.scans[-1][0] == kind


@pytest.mark.parametrize("direction", ["fo-fo", "fo-bi", "bi-bi"])
@pytest.mark.parametrize("d_inner", [8, 12])
def test_mixer_by_the_kernels_equals_torch(kernels, monkeypatch, direction, d_inner) -> None:
    torch.manual_seed(1)
    mixer = MambaMixer(8, d_inner=d_inner, d_state=4, d_conv=4, dt_rank=2, direction=direction)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(2, 9, 8)

    def results() -> tuple[Tensor, list[Tensor]]:
        mixer.zero_grad()
        leaf = x.clone().requires_grad_()
        y = mixer(leaf)
        y.square().sum().backward()
        return y.detach(), [leaf.grad, *(p.grad for p in mixer.parameters())]

    y, grads = results()
    calls = len(kernels.convolutions)
    assert calls == (2 if direction == "bi-bi" else 1)
    assert all(entry == (d_inner == 8, "silu") for entry in kernels.convolutions)
    assert len(kernels.scans) == 2 * (1 if direction == "fo-fo" else 2)
    monkeypatch.setenv(dispatch.SWITCH, "torch")
    wanted_y, wanted = results()
    assert len(kernels.convolutions) == calls
    torch.testing.assert_close(y, wanted_y, rtol=1e-5, atol=1e-6)
    for value, expected in zip(grads, wanted, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)


def test_mixer_under_autocast_stays_near_float32(kernels) -> None:
    torch.manual_seed(1)
    mixer = MambaMixer(8, d_inner=16, d_state=4, d_conv=4, dt_rank=2, direction="bi-bi")
    x = torch.randn(2, 9, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = mixer(x)
        y.float().sum().backward()
    assert kernels.convolutions
    assert kernels.scans
    assert mixer.get_parameter("A_b_log").grad.dtype == torch.float32
    torch.testing.assert_close(y.float(), mixer(x), rtol=0.05, atol=0.02)


def test_causal_token_convolution_by_the_kernel(kernels) -> None:
    torch.manual_seed(2)
    layer, x = TokenConv(8, 4, causal=True), torch.randn(2, 5, 8)
    y = layer(x)
    assert kernels.convolutions == [(True, None)]
    layer.register_forward_hook(lambda *_: None)
    torch.testing.assert_close(layer(x), y, rtol=1e-5, atol=1e-6)
    assert len(kernels.convolutions) == 1


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(8, 8, 5, groups=8),
        nn.Conv1d(8, 8, 4, groups=4),
        nn.Conv1d(8, 8, 4, groups=8, stride=2),
        nn.Conv1d(8, 8, 4, groups=8).double(),
        nn.Linear(8, 8),
    ],
    ids=["wide", "grouped", "strided", "double", "linear"],
)
def test_other_convolutions_stay_in_torch(kernels, layer) -> None:
    assert not dispatch.fast_convolution(layer, torch.zeros(1, 5, 8))
    assert dispatch.fast_convolution(nn.Conv1d(8, 8, 4, groups=8), torch.zeros(1, 5, 8))


@pytest.mark.parametrize("directions", [1, 2])
def test_long_ssd_takes_the_chunked_kernel(kernels, monkeypatch, directions) -> None:
    monkeypatch.setattr(cuda_backend, "SSD_LONG", 6)
    torch.manual_seed(0)
    u, dt = torch.randn(2, 6, 3, 16), torch.rand(2, 6, directions, 3)
    A, B, C = -torch.rand(directions, 3), torch.randn(2, 6, 16), torch.randn(2, 6, 16)
    wanted = ssd_ref(u, dt, A, B, C)
    torch.testing.assert_close(ssd(u, dt, A, B, C), wanted, rtol=1e-5, atol=1e-5)
    assert kernels.ssds == [(2, 6, 3, 16)] * directions
    ssd(u[:, :5], dt[:, :5], A, B[:, :5], C[:, :5])
    ssd(u[..., :5], dt, A, B, C)
    assert len(kernels.ssds) == directions


def test_double_and_wide_states_stay_in_torch(kernels) -> None:
    scan(*doubles(inputs()), False)
    scan(*inputs(states=257), False)
    assert not kernels.scans
    assert cuda_backend.usable(*inputs(states=256))
