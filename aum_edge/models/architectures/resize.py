"""Position tables for other grids and patch kernels for other patch sizes."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
Method = Literal["pi", "bilinear"]


def resize_positions(table: Tensor, n_tokens: int, old: Size, new: Size) -> Tensor:
    """A position table for another grid of patches, with a low-pass where it shrinks, as in AuM.

    Args:
        table: (1, n_tokens + old patches, d_model); the rows of the class tokens come first.
        n_tokens: Class tokens; their rows are kept.
        old: Patches along (frequency, time) that the table was made for.
        new: Patches along (frequency, time) that are wanted.

    Returns:
        (1, n_tokens + new patches, d_model), the same table if the grids are equal.
    """
    if old == new:
        return table
    tokens, patches = table[:, :n_tokens], table[:, n_tokens:]
    grid = patches.transpose(1, 2).unflatten(2, old)  # (1, d_model, freq, time)
    grid = F.interpolate(grid, new, mode="bilinear", antialias=True, align_corners=False)
    return torch.cat([tokens, grid.flatten(2).transpose(1, 2)], dim=1)  # (1, n_tokens + P, d_model)


def resize_patch_kernel(kernel: Tensor, new: Size, method: Method = "pi") -> Tensor:
    """A patch kernel (d_model, channels, f, t) for patches of another size.

    ``pi`` is the pseudo-inverse resize of FlexiViT (arXiv 2212.08013, section 3.4): if B resizes
    patches bilinearly, the new kernel w' solves <w', B x> = <w, x> for all patches x by least
    squares, which is pinv(B^T) w. B is a product of one matrix an axis and so is its
    pseudo-inverse, which stays exact where one axis grows and the other shrinks. ``bilinear``
    interpolates the kernel itself, with low-pass.

    Cost: two small matrix products; the matrices are kept.
    """
    old = (kernel.shape[2], kernel.shape[3])
    if old == new:
        return kernel
    if method == "bilinear":
        return F.interpolate(kernel, new, mode="bilinear", antialias=True, align_corners=False)
    by_frequency, by_time = (
        _pseudo_inverse(a, b).to(kernel.device, torch.float64)
        for a, b in zip(old, new, strict=True)
    )
    resized = by_frequency @ kernel.double() @ by_time.transpose(0, 1)
    return resized.to(kernel.dtype)


@lru_cache(maxsize=64)
def _pseudo_inverse(old: int, new: int) -> Tensor:
    """pinv(B^T), (new, old) in float64; B (new, old) resizes one axis bilinearly."""
    impulses = torch.eye(old, dtype=torch.float64).unsqueeze(1)
    resized = F.interpolate(impulses, new, mode="linear", align_corners=False)
    return torch.linalg.pinv(resized.squeeze(1))
