"""The checkers have teeth: one small mistake in the implementation, and a fixture disagrees.

    pytest tests/parity/test_teeth.py --fixtures DIR

Each mistake is one that ports of these models really make.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from aum_edge.audio import frontend
from aum_edge.models.architectures import audio_mamba, resize
from aum_edge.ssm import layers as norm
from aum_edge.ssm.mixers import mamba
from tests.parity.compare import fixture
from tests.parity.test_fixtures import checker

Patch = Callable[[pytest.MonkeyPatch], None]
MambaMixer = mamba.MambaMixer


def norm_eps(patch: pytest.MonkeyPatch) -> None:
    """RMSNorm's eps is 1e-6 instead of 1e-5."""
    made = norm.RMSNorm.__init__
    patch.setattr(norm.RMSNorm, "__init__", lambda s, size, eps=1e-5: made(s, size, 0.1 * eps))


def delta_in_half_precision(patch: pytest.MonkeyPatch) -> None:
    """Delta is rounded to float16, as autocast would do to it."""
    patch.setattr(mamba, "softplus", lambda x: F.softplus(x).half().to(x.dtype))


def directions_added(patch: pytest.MonkeyPatch) -> None:
    """The two directions are added where they are to be averaged."""
    made = MambaMixer.__init__
    patch.setattr(MambaMixer, "__init__", lambda s, d, **kw: made(s, d, **kw | {"halve": False}))


def skip_counted_once(patch: pytest.MonkeyPatch) -> None:
    """Fo-Bi adds D once instead of once a direction."""
    path = MambaMixer._path

    def once(self: Any, u: Tensor, suffix: str, both: bool = False) -> Tensor:
        y = path(self, u, suffix, both)
        if both:
            y = y - self.D * F.silu(self._convolve(u, suffix, False))
        return y

    patch.setattr(MambaMixer, "_path", once)


def backward_convolution_looks_left(patch: pytest.MonkeyPatch) -> None:
    """The backward direction convolves causally in forward order."""
    convolve = MambaMixer._convolve
    patch.setattr(MambaMixer, "_convolve", lambda s, u, suffix, r: convolve(s, u, suffix, False))


def both_scans_forward(patch: pytest.MonkeyPatch) -> None:
    """The backward scan runs forward."""
    core = mamba.scan
    patch.setattr(mamba, "scan", lambda u, d, A, B, C, reverse: core(u, d, A, B, C, False))


def class_token_one_place_later(patch: pytest.MonkeyPatch) -> None:
    """The middle is taken after the class token is counted."""
    places = audio_mamba.class_index

    def later(config: Any, n: int) -> tuple[int, ...]:
        return (n // 2 + 1,) if config.class_token == "middle" else places(config, n)

    patch.setattr(audio_mamba, "class_index", later)


def positions_shifted(patch: pytest.MonkeyPatch) -> None:
    """The class token takes the last row of the table, not the first."""

    def shifted(table: Tensor, n: int, old: Any, new: Any) -> Tensor:
        return resize.resize_positions(table.roll(-1, dims=1), n, old, new)

    patch.setattr(audio_mamba, "resize_positions", shifted)


def time_major_patches(patch: pytest.MonkeyPatch) -> None:
    """Patches are flattened time first."""
    made = audio_mamba.PatchEmbed.forward

    def swapped(self: Any, x: Tensor, p: Any = None, s: Any = None) -> tuple[Tensor, Any]:
        patches, grid = made(self, x, p, s)
        return patches.unflatten(1, grid).transpose(1, 2).flatten(1, 2), grid

    patch.setattr(audio_mamba.PatchEmbed, "forward", swapped)


def one_final_norm(patch: pytest.MonkeyPatch) -> None:
    """The last norm is applied once, as every other model does."""

    def once(self: Any, patches: Tensor, grid: Any = None) -> Tensor:
        return self.norm_f(self._run(self._tokens(patches, grid or self.grid)))

    patch.setattr(audio_mamba.AudioMamba, "encode", once)


def pairs_keep_the_residual_single(patch: pytest.MonkeyPatch) -> None:
    """Layer pairs average their residuals, where upstream doubles them."""

    def run(self: Any, hidden: Tensor) -> Tensor:
        residual = None
        layers = self.layers if not self.config.layer_pairs else ()
        for layer in layers:
            hidden, residual = layer(hidden, residual)
        for a, b in zip(*(self.layers[i::2] for i in (0, 1)), strict=True) if not layers else ():
            flipped = None if residual is None else residual.flip(1)
            (h_f, r_f), (h_b, r_b) = a(hidden, residual), b(hidden.flip(1), flipped)
            hidden, residual = h_f + h_b.flip(1), 0.5 * (r_f + r_b.flip(1))
        return residual + hidden

    patch.setattr(audio_mamba.AudioMamba, "_run", run)


def kernel_interpolated(patch: pytest.MonkeyPatch) -> None:
    """Patch kernels are interpolated instead of PI-resized."""
    patch.setattr(resize, "_pseudo_inverse", lambda old, new: _bilinear(old, new).double())


def _bilinear(old: int, new: int) -> Tensor:
    rows = F.interpolate(torch.eye(old).unsqueeze(1), new, mode="linear", align_corners=False)
    return rows.squeeze(1).T


def positions_without_low_pass(patch: pytest.MonkeyPatch) -> None:
    """Position tables are interpolated without antialiasing."""
    interpolate = F.interpolate

    def plain(x: Tensor, size: Any, **kw: Any) -> Tensor:
        return interpolate(x, size, **(kw | {"antialias": False}))

    patch.setattr(resize.F, "interpolate", plain)


def weak_pre_emphasis(patch: pytest.MonkeyPatch) -> None:
    """Kaldi's pre-emphasis is 0.95 instead of 0.97."""
    patch.setattr(frontend, "PRE_EMPHASIS", 0.95)


MISTAKES: dict[Patch, tuple[str, ...]] = {
    norm_eps: ("aum_bibi_meanpool", "aum_fobi_meanpool"),
    delta_in_half_precision: ("aum_bibi_meanpool", "aum_fobi_meanpool"),
    directions_added: ("aum_bibi_meanpool", "ssamba_finetune_cut"),
    skip_counted_once: ("aum_fobi_meanpool",),
    backward_convolution_looks_left: ("aum_bibi_meanpool", "ssamba_finetune_cut"),
    both_scans_forward: ("aum_fobi_meanpool", "aum_bibi_meanpool"),
    class_token_one_place_later: ("aum_from_vim_mid", "aum_runtime_patch"),
    positions_shifted: ("aum_double_cls", "aum_from_vim_mid"),
    time_major_patches: ("aum_bibi_meanpool",),
    one_final_norm: ("ssamba_finetune_cut",),
    pairs_keep_the_residual_single: ("ssamba_finetune_cut",),
    kernel_interpolated: ("flexi_resize", "aum_runtime_patch", "aum_load_patch16to8"),
    positions_without_low_pass: ("flexi_resize",),
    weak_pre_emphasis: ("frontend_kaldi_fbank",),
}


def disagreements(folder: Path, name: str) -> list[str]:
    return checker(name)(*fixture(folder, name))


@pytest.mark.parametrize("name", sorted({n for names in MISTAKES.values() for n in names}))
def test_the_right_implementation_agrees(name: str, request: pytest.FixtureRequest) -> None:
    assert disagreements(request.config.getoption("--fixtures"), name) == []


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_found(
    mistake: Patch, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    mistake(monkeypatch)
    for name in MISTAKES[mistake]:
        assert disagreements(request.config.getoption("--fixtures"), name), name
