"""The compiled file: its forms, its checks, and what happens where it cannot be built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aum_edge.errors import RecipeError
from aum_edge.ssm.scan import c_backend, c_library, dispatch
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.ssd import ssd

ROOT = Path(__file__).parents[3]
BUILT = c_backend.backend() == "c"
needs_kernel = pytest.mark.skipif(not BUILT, reason="no C kernel was built: no compiler here")


def scan_inputs(dtype=torch.float32):
    torch.manual_seed(0)
    u, delta = torch.randn(3, 70, 45, dtype=dtype), torch.rand(3, 70, 45, dtype=dtype)
    A = -3 * torch.rand(45, 5, dtype=dtype)
    B, C = (torch.randn(3, 70, 1, 5, dtype=dtype) for _ in range(2))
    return [x.requires_grad_() for x in (u, delta, A, B, C)]


def ssd_inputs():
    torch.manual_seed(0)
    u, dt = torch.randn(3, 70, 3, 16), torch.rand(3, 70, 2, 3)
    return [
        x.requires_grad_()
        for x in (u, dt, -torch.rand(2, 3), torch.randn(3, 70, 5), torch.randn(3, 70, 5))
    ]


def results(run, tensors):
    y = run(*tensors)
    y = y[0] if isinstance(y, tuple) else y
    return (y, *torch.autograd.grad(y.square().sum(), tensors))


@needs_kernel
@pytest.mark.parametrize("name", c_library.sets())
@pytest.mark.parametrize("form", ["scan", "ssd"])
def test_every_instruction_set_gives_the_same(monkeypatch, name, form) -> None:
    run, tensors = (scan, scan_inputs()) if form == "scan" else (ssd, ssd_inputs())
    double = [x.detach().double().requires_grad_() for x in tensors]
    monkeypatch.setenv(c_library.SWITCH, name)
    assert f"c: {name} ({c_library.SWITCH}" in dispatch.describe()["cpu"]
    for got, wanted in zip(results(run, tensors), results(run, double), strict=True):
        assert (got.double() - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@needs_kernel
def test_an_instruction_set_that_is_not_there_is_refused(monkeypatch) -> None:
    monkeypatch.setenv(c_library.SWITCH, "neon9")
    with pytest.raises(RecipeError, match="is `neon9`; on this machine it may be plain"):
        c_library.active_set()
    assert dispatch.describe()["cpu"].startswith("none: AUM_EDGE_SCAN_ISA is `neon9`")


@needs_kernel
@pytest.mark.parametrize("name", c_library.sets())
def test_extreme_decays_are_exact(monkeypatch, name) -> None:
    monkeypatch.setenv(c_library.SWITCH, name)
    rates = torch.tensor([-1e30, -200.0, -90.0, -1.0, -1e-30, 0.0, 1.0, 80.0])
    ones = torch.ones(1, 2, 8)
    y = scan(ones, ones, rates[:, None], torch.ones(1, 2, 1, 1), torch.ones(1, 2, 1, 1))[0]
    torch.testing.assert_close(y[0, 1], torch.exp(rates) + 1, rtol=1e-5, atol=0)


@needs_kernel
@pytest.mark.parametrize("threads", [0, 1, 3, 8])
@pytest.mark.parametrize("batch", [1, 7])
def test_any_number_of_threads_gives_the_same(monkeypatch, threads, batch) -> None:
    monkeypatch.setattr(c_backend, "SMALL", 0)
    tensors = [x.detach() for x in scan_inputs()]
    tensors = [
        (x if i == 2 else x[:1].repeat(batch, 1, *[1] * (x.ndim - 2))).requires_grad_()
        for i, x in enumerate(tensors)
    ]
    found = []
    for count in (1, threads, threads):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        found.append(results(scan, tensors))
    for one, some, again in zip(*found, strict=True):
        torch.testing.assert_close(some, one, rtol=1e-4, atol=1e-4)
        assert torch.equal(some, again)


@needs_kernel
def test_parts_cover_every_row_and_channel_once(monkeypatch) -> None:
    monkeypatch.setattr(c_backend, "SMALL", 0)
    for threads in range(1, 9):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        for batch, channels, head in ((1, 96, 0), (3, 70, 0), (1, 96, 24), (2, 5, 5)):
            steps = channels // head if head else channels
            rows = c_backend._Rows.of(
                torch.zeros(batch, 4, channels),
                torch.zeros(batch, 4, 1, steps),
                torch.zeros(1, steps),
                torch.zeros(batch, 4, 1, 2),
                torch.zeros(batch, 4, 1, 2),
                head=head,
            )
            seen = torch.zeros(batch, channels)
            parts = c_backend._split(rows)
            assert len(parts) <= threads
            for part in parts:
                seen[part.rows, part.first : part.end] += 1
                assert not head or part.first % head == 0
            assert (seen == 1).all()


def test_files_that_are_no_kernel_are_told_apart(tmp_path) -> None:
    (tmp_path / "_scan.so").write_bytes(b"no library")
    found, why = c_library.load(tmp_path / "_scan.so")
    assert found is None
    assert why.startswith("the C kernel does not load (")


def test_without_a_file_pure_torch_runs(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(c_library, "__file__", str(tmp_path / "library.py"))
    c_library._loaded.cache_clear()
    try:
        assert c_backend.backend() == "torch"
        assert dispatch.describe()["cpu"].startswith("torch: the C kernel was not built")
        assert c_library.sets() == ()
        assert scan(*scan_inputs())[0].shape == (3, 70, 45)
        with pytest.raises(RuntimeError, match="called without one: the C kernel was not built"):
            c_library.kernel()
    finally:
        monkeypatch.undo()
        c_library._loaded.cache_clear()


def build(folder: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[Path]]:
    """Build the extension out of a copy of the sources."""
    shutil.copytree(ROOT / "aum_edge/ssm/csrc", folder / "aum_edge/ssm/csrc")
    shutil.copy(ROOT / "setup.py", folder)
    code = [sys.executable, "setup.py", "build_ext", "--build-lib", "out", "--build-temp", "tmp"]
    done = subprocess.run(
        code,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done, list((folder / "out").rglob("_scan*.so"))


@pytest.mark.parametrize("compiler", ["false", "/no/such/compiler"])
def test_an_install_survives_a_compiler_that_fails(tmp_path, compiler) -> None:
    done, files = build(tmp_path, CC=compiler, LDSHARED=compiler)
    assert done.returncode == 0, done.stderr
    assert files == []
    assert "no C kernel; the scan will run in pure torch" in done.stdout


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_a_compiler_without_instruction_sets_builds_the_plain_form(tmp_path) -> None:
    wrapper = tmp_path / "old-cc"
    real = shutil.which("cc")
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *-O3*-std=c99*) exit 1;; esac\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    done, files = build(tmp_path, CC=str(wrapper), LDSHARED=f"{wrapper} -shared")
    assert done.returncode == 0, done.stderr
    found, why = c_library.load(files[0])
    assert why == ""
    assert found.aum_sets() == 1
