"""What benchmarks/scan.py compares: our scans, and others' algorithms on the same inputs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from unittest import mock

import torch
from torch import Tensor

from aum_edge.ssm.scan import c_library, dispatch
from aum_edge.ssm.scan.operator import scan
from aum_edge.ssm.scan.ssd import ssd, ssd_ref

LABELS = {
    "ref": "selective_scan_ref's algorithm",
    "hf": "transformers' slow path",
    "pscan": "mambapy's pscan",
    "recurrence": "recurrence, autograd",
    "matrices": "matrix form, autograd",
    "torch": "ours, pure torch",
    "c-plain": "ours, C, plain",
    "c-avx2": "ours, C, AVX2",
    "c-avx512": "ours, C, AVX-512",
}
OURS = ("torch", "c-plain", "c-avx2", "c-avx512")
FORMS = {"scan": ("ref", "hf", "pscan", *OURS), "ssd": ("recurrence", "matrices", *OURS)}


@dataclass(frozen=True)
class Size:
    """Inputs of one size, tokens first."""

    name: str
    form: str
    batch: int
    length: int
    channels: int
    states: int

    @property
    def label(self) -> str:
        """Batch x length x channels x states."""
        return f"{self.batch} x {self.length} x {self.channels} x {self.states}"

    @property
    def head(self) -> int:
        """Channels that share a decay in SSD: 16 in our students, 64 in Mamba-2."""
        return 16 if self.channels < 512 else 64

    @property
    def elements(self) -> int:
        """State updates; SSD makes them once for each of its two directions."""
        reversals = 2 if self.form == "ssd" else 1
        return reversals * self.batch * self.length * self.channels * self.states

    def inputs(self) -> list[Tensor]:
        """u, delta, A, B, C of the scan, or those of SSD in two directions, always the same."""
        made = torch.Generator().manual_seed(0)
        b, L, E, N = self.batch, self.length, self.channels, self.states
        B, C = (torch.randn(b, L, N, generator=made) for _ in range(2))
        if self.form == "ssd":
            H = E // self.head
            u = torch.randn(b, L, H, self.head, generator=made)
            dt = 0.1 * torch.rand(b, L, 2, H, generator=made)
            return [u, dt, -8 * torch.rand(2, H, generator=made), B, C]
        u, delta = torch.randn(b, L, E, generator=made), 0.1 * torch.rand(b, L, E, generator=made)
        return [u, delta, -8 * torch.rand(E, N, generator=made), B.unsqueeze(2), C.unsqueeze(2)]


class Variant:
    """One implementation, called with the inputs of a size."""

    def __init__(self, name: str, form: str) -> None:
        self.name = name
        ours: Callable[..., Tensor] = ssd if form == "ssd" else _scan
        others = {"ref": _ref, "hf": _hf, "pscan": _pscan, "recurrence": ssd_ref}
        self.run = others.get(name, ours)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The output alone."""
        return self.run(*inputs)

    @contextlib.contextmanager
    def chosen(self) -> Iterator[None]:
        """Let the library take this variant's kernel, and none other."""
        kind, _, form = self.name.partition("-")
        switches = {dispatch.SWITCH: "c" if kind == "c" else "torch", c_library.SWITCH: form}
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, switches))
            if self.name == "matrices":
                stack.enter_context(mock.patch.object(dispatch, "linear_ssd", return_value=False))
            yield


def missing(name: str) -> str:
    """Why a variant cannot run here and what to install; empty where it can."""
    if name == "pscan" and not find_spec("mambapy"):
        return "mambapy is not installed (`pip install --no-deps mambapy`)"
    if name == "hf":
        if not find_spec("transformers"):
            return "transformers is not installed (`pip install transformers`)"
        try:
            from transformers.models.mamba.modeling_mamba import mamba_selective_scan  # noqa: F401
        except ImportError:
            return "transformers is older than its `mamba_selective_scan` (5.23 has it)"
    if name.startswith("c-") and name[2:] not in c_library.sets():
        return f"{LABELS[name]}: {c_library.missing() or 'not an instruction set of this machine'}"
    return ""


def _scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    y: Tensor = scan(u, delta, A, B, C)[0]
    return y


def _ref(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The steps of mamba_ssm's reference: whole decays and pushes, then one slice a token."""
    decay = torch.exp(torch.einsum("bld,dn->bdln", delta, A))
    push = torch.einsum("bld,bln,bld->bdln", delta, B[:, :, 0], u)
    state = u.new_zeros(u.shape[0], *A.shape)
    outputs = []
    for t in range(u.shape[1]):
        state = decay[:, :, t] * state + push[:, :, t]
        outputs.append(torch.einsum("bdn,bn->bd", state, C[:, t, 0]))
    return torch.stack(outputs, dim=1)


def _hf(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The function of transformers itself, channels first and without its optional mambapy."""
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    rows = [x.transpose(1, 2) for x in (u, delta, B[:, :, 0], C[:, :, 0])]
    y: Tensor = mamba_selective_scan(rows[0], rows[1], A, rows[2], rows[3], use_mambapy=False)
    return y.transpose(1, 2)


def _pscan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """The parallel scan of mambapy, called as its Mamba block does."""
    from mambapy.pscan import pscan

    decay = torch.exp(delta.unsqueeze(3) * A)
    push = delta.unsqueeze(3) * B * u.unsqueeze(3)
    y: Tensor = (pscan(decay, push) @ C[:, :, 0].unsqueeze(3)).squeeze(3)
    return y
