"""SSD: the linear form in C and in pure torch against the recurrence and the matrices."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aum_edge.ssm.scan import c_backend, dispatch
from aum_edge.ssm.scan.ssd import ssd, ssd_ref
from aum_edge.ssm.scan.ssd_linear import CHUNK

NO_KERNEL = "no C kernel was built: no compiler here"
BACKENDS = [
    "torch",
    pytest.param("c", marks=pytest.mark.skipif(c_backend.backend() != "c", reason=NO_KERNEL)),
]
BOTH, PAST, FUTURE = (False, True), (False,), (True,)


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch) -> str:
    monkeypatch.setenv(dispatch.SWITCH, request.param)
    return request.param


def inputs(batch=2, length=7, heads=3, width=4, states=5, directions=2, dtype=torch.float64):
    torch.manual_seed(0)
    u = torch.randn(batch, length, heads, width, dtype=dtype)
    dt = torch.rand(batch, length, directions, heads, dtype=dtype)
    A = -4 * torch.rand(directions, heads, dtype=dtype)
    B, C = (torch.randn(batch, length, states, dtype=dtype) for _ in range(2))
    return [x.requires_grad_() for x in (u, dt, A, B, C)]


class Looking(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def matrices(*tensors, reversals):
    with Looking():
        return ssd(*tensors, reversals=reversals)


@pytest.mark.parametrize("reversals", [BOTH, PAST, FUTURE])
def test_gradcheck(backend, reversals) -> None:
    tensors = inputs(batch=1, length=4, heads=2, width=2, states=2, directions=len(reversals))
    assert torch.autograd.gradcheck(lambda *x: ssd(*x, reversals=reversals), tensors)


@pytest.mark.parametrize("reversals", [BOTH, PAST, FUTURE])
@pytest.mark.parametrize("length", [1, CHUNK, 2 * CHUNK + 5, 150])
@pytest.mark.parametrize("width", [4, 16, 24])
def test_the_linear_form_equals_the_matrices_with_its_gradients(
    backend, reversals, length, width
) -> None:
    tensors = inputs(length=length, width=width, directions=len(reversals))
    y, wanted = ssd(*tensors, reversals=reversals), matrices(*tensors, reversals=reversals)
    torch.testing.assert_close(y, wanted, rtol=1e-9, atol=1e-11)
    weight = torch.randn_like(y)
    grads = [torch.autograd.grad((x * weight).sum(), tensors) for x in (y, wanted)]
    for got, other in zip(*grads, strict=True):
        torch.testing.assert_close(got, other, rtol=1e-8, atol=1e-10)


def test_float32_stays_close_to_float64(backend) -> None:
    single = [x.detach().requires_grad_() for x in inputs(3, 66, 6, 16, 8, dtype=torch.float32)]
    double = [x.detach().double().requires_grad_() for x in single]
    outputs = [ssd(*single), ssd_ref(*double)]
    grads = [
        torch.autograd.grad(y.square().sum(), x)
        for y, x in zip(outputs, (single, double), strict=True)
    ]
    pairs = zip((outputs[0], *grads[0]), (outputs[1], *grads[1]), strict=True)
    for got, wanted in pairs:
        assert (got.double() - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_come_back_in_their_type(backend, dtype) -> None:
    tensors = [x.detach().to(dtype).requires_grad_() for x in inputs()]
    wide = [x.detach().float().requires_grad_() for x in tensors]
    y, wanted = ssd(*tensors), ssd(*wide)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), wanted, rtol=2e-2, atol=2e-2)
    grads = torch.autograd.grad(y.sum(), tensors)
    assert all(g.dtype == dtype for g in grads)
    expected = torch.autograd.grad(wanted.sum(), wide)
    for got, other in zip(grads, expected, strict=True):
        assert (got.float() - other).abs().max() <= 2e-2 * other.abs().max()


def test_strides_do_not_matter(backend) -> None:
    tensors = [x.detach() for x in inputs()]
    turned = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in tensors]
    assert not all(x.is_contiguous() for x in turned)
    torch.testing.assert_close(ssd(*turned), ssd(*tensors), rtol=0, atol=0)


def test_no_tokens_and_no_rows_give_no_output(backend) -> None:
    for sizes in ({"length": 0}, {"batch": 0}):
        tensors = inputs(**sizes)
        y = ssd(*tensors)
        assert y.shape == tensors[0].shape
        assert all(g.shape == x.shape for g, x in zip(grad(y, tensors), tensors, strict=True))


def grad(y, tensors):
    return torch.autograd.grad(y.sum(), tensors, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("place", range(5))
def test_nan_stays_in_its_own_row(backend, place) -> None:
    tensors = [x.detach() for x in inputs()]
    tensors[place].flatten()[0] = float("nan")
    y = ssd(*tensors)
    assert torch.isnan(y[0]).any()
    assert place == 2 or not torch.isnan(y[1]).any()


def test_what_is_kept_for_backward_grows_with_the_length_alone(backend) -> None:
    totals = []
    for length in (64, 256):
        saved = []
        tensors = inputs(length=length, dtype=torch.float32)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, saved=saved: saved.append(x.nbytes) or x, lambda x: x
        ):
            ssd(*tensors)
        totals.append(sum(saved))
        assert totals[-1] == sum(x.nbytes for x in tensors)
    assert totals[1] < 4 * totals[0]


def test_recorded_graphs_hold_the_matrices() -> None:
    class Layer(torch.nn.Module):
        def forward(self, *tensors):
            return ssd(*tensors)

    tensors = tuple(x.detach().float() for x in inputs())
    program = torch.export.export(Layer(), tensors)
    names = {str(node.target) for node in program.graph.nodes}
    assert any("matmul" in name for name in names)
    torch.testing.assert_close(program.module()(*tensors), ssd(*tensors), rtol=1e-5, atol=1e-5)
