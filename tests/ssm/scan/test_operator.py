from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from aum_edge.ssm.scan import c_backend, dispatch
from aum_edge.ssm.scan.interface import selective_scan, selective_scan_ref
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.torch_backend import CHUNK

NO_KERNEL = "no C kernel was built: no compiler here"
BACKENDS = [
    "torch",
    pytest.param("c", marks=pytest.mark.skipif(c_backend.backend() != "c", reason=NO_KERNEL)),
]


@pytest.fixture(params=BACKENDS)
def backend(request, monkeypatch) -> str:
    monkeypatch.setenv(dispatch.SWITCH, request.param)
    return request.param


def inputs(batch=2, length=7, channels=6, states=3, groups=2, dtype=torch.float64, seed=0):
    torch.manual_seed(seed)
    u = torch.randn(batch, length, channels, dtype=dtype)
    delta = torch.rand(batch, length, channels, dtype=dtype)
    A = -torch.rand(channels, states, dtype=dtype) * 3
    B, C = (torch.randn(batch, length, groups, states, dtype=dtype) for _ in range(2))
    return [x.requires_grad_() for x in (u, delta, A, B, C)]


def reference(u, delta, A, B, C, reverse):
    if reverse:
        u, delta, B, C = (x.flip(1) for x in (u, delta, B, C))
    y, last = selective_scan_ref(
        u.transpose(1, 2),
        delta.transpose(1, 2),
        A,
        B.permute(0, 2, 3, 1),
        C.permute(0, 2, 3, 1),
        return_last_state=True,
    )
    y = y.transpose(1, 2)
    return (y.flip(1) if reverse else y), last


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_scan_equals_the_loop_with_its_gradients(backend, reverse, length, groups) -> None:
    tensors = inputs(length=length, groups=groups)
    outputs = scan(*tensors, reverse)
    expected = reference(*tensors, reverse)
    weights = [torch.randn_like(x) for x in outputs]
    losses = [
        sum((x * w).sum() for x, w in zip(o, weights, strict=True)) for o in (outputs, expected)
    ]
    for value, wanted in zip(outputs, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-12)
    for got, wanted in zip(*(torch.autograd.grad(x, tensors) for x in losses), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradcheck(backend, reverse) -> None:
    tensors = inputs(batch=1, length=4, channels=2, states=2, groups=1)
    assert torch.autograd.gradcheck(lambda *x: scan(*x, reverse), tensors)


def test_opcheck(backend) -> None:
    torch.library.opcheck(
        torch.ops.aum_edge.scan.default,
        (*inputs(length=3, dtype=torch.float32), True),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


@pytest.mark.skipif(c_backend.backend() != "c", reason="no C kernel was built: no compiler here")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "sizes", [(3, 33, 70, 5, 1), (2, 64, 96, 8, 2), (1, 1, 1, 1, 1), (2, 150, 66, 16, 3)]
)
def test_the_c_kernel_in_float32_equals_the_loop_in_float64(reverse, sizes) -> None:
    batch, length, channels, states, groups = sizes
    single = inputs(batch, length, channels, states, groups, torch.float32)
    assert c_backend.usable(*single)
    double = [x.detach().double().requires_grad_() for x in single]
    results = [scan(*single, reverse), reference(*double, reverse)]
    torch.manual_seed(1)
    weights = [torch.randn_like(x) for x in results[0]]
    for value, wanted in zip(*results, strict=True):
        torch.testing.assert_close(value.double(), wanted.double(), rtol=1e-4, atol=2e-5)
    grads = []
    for outputs, leaves in zip(results, (single, double), strict=True):
        loss = sum((x * w.to(x)).sum() for x, w in zip(outputs, weights, strict=True))
        grads.append(torch.autograd.grad(loss, leaves))
    for got, wanted in zip(*grads, strict=True):
        error = (got.double() - wanted).abs().max()
        assert error <= 1e-5 * wanted.abs().max() + 1e-6


@pytest.mark.skipif(c_backend.backend() != "c", reason="no C kernel was built: no compiler here")
def test_the_c_kernel_gives_the_same_on_any_number_of_threads() -> None:
    tensors = [x.detach() for x in inputs(7, 64, 96, 16, 1, torch.float32)]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = scan(*tensors, False)[0]
        torch.set_num_threads(3)
        torch.testing.assert_close(scan(*tensors, False)[0], one, rtol=0, atol=0)
    finally:
        torch.set_num_threads(threads)


def test_nan_is_passed_on_and_not_hidden(backend) -> None:
    tensors = [x.detach().float() for x in inputs(length=5)]
    tensors[1][0, 2, 1] = float("nan")
    y, last = scan(*tensors, False)
    assert torch.isnan(y[0, 2:, 1]).all()
    assert torch.isnan(last[0, 1]).all()
    assert not torch.isnan(y[1]).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_inputs_come_back_in_their_type(backend, dtype) -> None:
    tensors = [x.detach().to(dtype) for x in inputs()]
    tensors = [x.requires_grad_() for x in tensors]
    wide = [x.detach().float().requires_grad_() for x in tensors]
    y, last = scan(*tensors, False)
    wanted, _ = scan(*wide, False)
    assert y.dtype == dtype
    grads = torch.autograd.grad(y.sum(), tensors)
    for got, other in zip(grads, torch.autograd.grad(wanted.sum(), wide), strict=True):
        assert got.dtype == dtype
        assert (got.float() - other).abs().max() <= 2e-2 * other.abs().max()
    assert last.dtype == torch.float32
    torch.testing.assert_close(y.float(), wanted, rtol=2e-2, atol=2e-2)


def test_views_and_strides_do_not_matter(backend) -> None:
    u, delta, A, B, C = (x.detach() for x in inputs())
    y, _ = scan(u, delta, A, B, C, False)
    turned = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in (u, delta, A, B, C)]
    assert not any(x.is_contiguous() for x in turned)
    torch.testing.assert_close(scan(*turned, False)[0], y, rtol=0, atol=0)


def test_no_tokens_give_no_output(backend) -> None:
    tensors = inputs(length=0)
    y, last = scan(*tensors, False)
    assert y.shape == (2, 0, 6)
    assert last.shape == (2, 6, 3)
    assert not last.any()
    grads = torch.autograd.grad(y.sum() + last.sum(), tensors)
    assert all(g.shape == x.shape and not g.any() for g, x in zip(grads, tensors, strict=True))


def test_memory_of_backward_does_not_grow_with_states_times_length(backend) -> None:
    saved = []
    tensors = inputs(length=64, states=8, groups=1, dtype=torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: saved.append(x.nbytes) or x, lambda x: x
    ):
        scan(*tensors, False)
    assert sum(saved) == sum(x.nbytes for x in tensors)


def test_selective_scan_refuses_shapes_that_disagree() -> None:
    u = torch.randn(2, 4, 5)
    with pytest.raises(ValueError, match="B of shape"):
        selective_scan(u, u, torch.randn(4, 3), torch.randn(2, 3, 6), torch.randn(2, 3, 5))
    with pytest.raises(ValueError, match="real A"):
        selective_scan(u, u, torch.randn(4, 3) + 0j, torch.randn(2, 3, 5), torch.randn(2, 3, 5))


@pytest.mark.parametrize(("of_B", "of_C"), [(1, 2), (2, 3), (3, 0), (0, None), (None, 2)])
def test_B_and_C_may_come_in_different_groups(backend, of_B, of_C) -> None:
    """0 is (batch, N, L), None constant in time: upstream takes any two together."""
    u, delta, A, _, _ = (x.detach() for x in inputs())

    def matrix(groups: int | None) -> torch.Tensor:
        shape = {None: (6, 3), 0: (2, 3, 7)}.get(groups, (2, groups, 3, 7))
        return torch.randn(shape, dtype=torch.float64)

    tensors = (u.transpose(1, 2), delta.transpose(1, 2), A, matrix(of_B), matrix(of_C))
    torch.testing.assert_close(selective_scan(*tensors), selective_scan_ref(*tensors))


@pytest.mark.parametrize("wrong", [1, 2, 3, 4])
def test_the_operator_refuses_shapes_that_its_kernels_would_read_beyond(backend, wrong) -> None:
    tensors = [x.detach() for x in inputs()]
    tensors[wrong] = tensors[wrong][..., :1, :]
    with pytest.raises(ValueError, match="where G divides E"):
        scan(*tensors)


def test_a_scan_of_no_states_is_refused() -> None:
    u = torch.randn(2, 4, 5)
    with pytest.raises(ValueError, match="one state"):
        selective_scan(u, u, torch.randn(4, 0), torch.randn(2, 0, 5), torch.randn(2, 0, 5))


FORKED = """
import os, signal, torch
from aum_edge.ssm.scan import c_backend
torch.set_num_threads(2)
x = torch.ones(2, 500, 32)
A, B = -torch.ones(32, 64), torch.ones(2, 500, 1, 64)
run = lambda: c_backend.forward(x, x, A, B, B, False)[0]
for _ in range(20):  # both threads have begun by then
    wanted = run()
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(0 if torch.equal(run(), wanted) else 1)
raise SystemExit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(c_backend.backend() != "c", reason=NO_KERNEL)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], timeout=60, check=False)
    assert done.returncode == 0
