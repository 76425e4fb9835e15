"""AUM_EDGE_SCAN: what it picks, what it refuses, what doctor says."""

from __future__ import annotations

import sys

import pytest
import torch

from aum_edge.errors import RecipeError
from aum_edge.ssm.scan import c_backend, c_library, cuda_backend, dispatch
from aum_edge.ssm.scan.operator import scan


@pytest.fixture(autouse=True)
def _no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dispatch.SWITCH, raising=False)


def tensors(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    rows = torch.rand(1, 3, 2, dtype=dtype)
    return [rows, rows, -rows[0, :2], rows[:, :, None], rows[:, :, None]]


def message(*args: torch.Tensor) -> str:
    with pytest.raises(RecipeError) as caught:
        scan(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("value", [None, "", "auto"])
@pytest.mark.parametrize("built", [True, False])
def test_the_cpu_takes_the_c_kernel_where_there_is_one(monkeypatch, value, built) -> None:
    if value is not None:
        monkeypatch.setenv(dispatch.SWITCH, value)
    monkeypatch.setattr(c_backend, "usable", lambda *_: built)
    assert dispatch.backend(*tensors()) == ("c" if built else "torch")


def test_torch_switches_the_kernels_off(monkeypatch) -> None:
    monkeypatch.setattr(c_backend, "usable", lambda *_: True)
    monkeypatch.setenv(dispatch.SWITCH, "torch")
    assert dispatch.backend(*tensors()) == "torch"
    assert dispatch.describe() == {
        "cpu": "torch: AUM_EDGE_SCAN=torch",
        "cuda": dispatch.describe()["cpu"],
    }


def test_unknown_values_are_refused(monkeypatch) -> None:
    monkeypatch.setenv(dispatch.SWITCH, "triton")
    assert "`triton`; it may be torch, c, cuda" in message(*tensors())
    assert "triton" in dispatch.describe()["cpu"]


def test_a_kernel_that_is_not_there_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(c_backend, "missing", lambda: "the C kernel was not built")
    monkeypatch.setenv(dispatch.SWITCH, "c")
    assert "AUM_EDGE_SCAN=c cannot be used: the C kernel was not built" in message(*tensors())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(dispatch.SWITCH, "cuda")
    assert "cannot be used: torch sees no CUDA device" in message(*tensors())


@pytest.mark.skipif(c_backend.backend() != "c", reason="no C kernel was built: no compiler here")
def test_c_refuses_what_it_cannot_take(monkeypatch) -> None:
    monkeypatch.setenv(dispatch.SWITCH, "c")
    assert dispatch.backend(*tensors()) == "c"
    assert dispatch.backend(*tensors(torch.float64)) == "c"
    text = message(*tensors(torch.complex64))
    assert "cannot run this scan (complex64; 2 states): that kernel takes real" in text
    assert dispatch.describe()["cpu"].startswith(f"c: {c_library.active_set()}, the ")
    assert dispatch.describe()["cpu"].endswith(" (AUM_EDGE_SCAN=c)")


def test_missing_packages_are_named(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("mamba_ssm", "causal_conv1d"):
        monkeypatch.setitem(sys.modules, name, None)
    cuda_backend._import.cache_clear()
    assert cuda_backend.missing() == "mamba-ssm is not installed"
    assert cuda_backend.missing_convolution() == "causal-conv1d is not installed"
    assert dispatch.describe()["cuda"] == "torch: mamba-ssm is not installed"
    cuda_backend._import.cache_clear()


def test_a_broken_build_is_told_apart(monkeypatch, tmp_path) -> None:
    (tmp_path / "causal_conv1d.py").write_text("import no_such_extension_cuda\n")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "causal_conv1d", raising=False)
    cuda_backend._import.cache_clear()
    assert "does not import (it lacks no_such_extension_cuda)" in cuda_backend.missing_convolution()
    (tmp_path / "causal_conv1d.py").write_text("raise RuntimeError('undefined\\nsymbol')\n")
    cuda_backend._import.cache_clear()
    assert cuda_backend.missing_convolution() == "causal-conv1d does not import (undefined symbol)"
    cuda_backend._import.cache_clear()


def test_pure_torch_is_exact_under_autocast(monkeypatch) -> None:
    monkeypatch.setenv(dispatch.SWITCH, "torch")
    rows = [x.detach().requires_grad_() for x in tensors()]
    wanted = scan(*rows)[0]
    expected = torch.autograd.grad(wanted.sum(), rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = scan(*rows)[0]
        grads = torch.autograd.grad(y.sum(), rows)
    torch.testing.assert_close(y, wanted, rtol=0, atol=0)
    for value, other in zip(grads, expected, strict=True):
        torch.testing.assert_close(value, other, rtol=0, atol=0)
