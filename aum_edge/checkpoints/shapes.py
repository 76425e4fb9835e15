"""Config fields of an AuM-like network from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from aum_edge.core.text import few
from aum_edge.errors import CheckpointError
from aum_edge.models.architectures.patches import patch_grid
from aum_edge.models.config import AudioMambaConfig

PATCH, POSITIONS = "patch_embed.proj.weight", "pos_embed.pos_embed"
UPSTREAM_MELS = 128
UPSTREAM_FRAMES = [2**power for power in range(6, 20)]
"""AuM looks for the length of a checkpoint among these, at 128 mels."""
RANKS = {
    "layers.0.mixer.A_log": 2,
    "layers.0.mixer.conv1d.weight": 3,
    "norm_f.weight": 1,
    PATCH: 4,
    POSITIONS: 3,
    "head.weight": 2,
}


@dataclass(frozen=True)
class NetworkShapes:
    """Fields of :class:`AudioMambaConfig` that the tensors settle, and what they hint at."""

    fields: dict[str, Any]
    class_tokens: int
    position_rows: int | None
    n_classes: int | None
    """Rows of the head; None if there is none under AuM's name."""


def network_shapes(tensors: Mapping[str, Tensor], source: str) -> NetworkShapes:
    """Read width, depth, direction, norm, patch and so on from names and shapes.

    Raises:
        CheckpointError: If these are not the tensors of such a network.
    """
    needed = [PATCH, "layers.0.mixer.in_proj.weight", "layers.0.mixer.A_log", "norm_f.weight"]
    needed += ["layers.0.mixer.conv1d.weight", "layers.0.norm.weight"]
    absent = [name for name in needed if name not in tensors]
    if absent:
        raise CheckpointError(
            f"{source} is no Audio Mamba: it lacks {few(absent)}; it has {few(sorted(tensors))}."
        )
    _check_ranks(tensors, source)
    d_inner, d_state = tensors["layers.0.mixer.A_log"].shape
    d_model = tensors["norm_f.weight"].shape[0]
    kernel = tensors[PATCH].shape
    head = tensors.get("head.weight")
    table = tensors.get(POSITIONS)
    double = "cls_token_head" in tensors
    gamma = tensors.get("layers.0.mixer.gamma")
    return NetworkShapes(
        fields={
            "d_model": d_model,
            "depth": _depth(tensors),
            "d_state": d_state,
            "expand": max(1, d_inner // d_model),
            "d_conv": tensors["layers.0.mixer.conv1d.weight"].shape[-1],
            "direction": _direction(tensors),
            "norm": "layer" if "norm_f.bias" in tensors else "rms",
            "patch_size": (kernel[-2], kernel[-1]),
            "position_embedding": table is not None,
            "layer_scale": None if gamma is None else 1.0,
        },
        class_tokens=2 if double else int("cls_token" in tensors),
        position_rows=None if table is None else table.shape[1],
        n_classes=None if head is None else head.shape[0],
    )


def _check_ranks(tensors: Mapping[str, Tensor], source: str) -> None:
    for name, rank in RANKS.items():
        if name in tensors and (tensors[name].ndim != rank or not tensors[name].numel()):
            raise CheckpointError(
                f"{source} has {name} as {tuple(tensors[name].shape)}; it must have {rank} axes."
            )


def _depth(tensors: Mapping[str, Tensor]) -> int:
    """Number of layers, counted by their first tensor: a stray one is found when it is filled."""
    found = {
        int(match[1])
        for name in tensors
        if (match := re.match(r"layers\.(\d+)\.mixer\.A_log$", name))
    }
    return next(number for number in range(len(found) + 1) if number not in found)


def _direction(tensors: Mapping[str, Tensor]) -> str:
    if "layers.0.mixer.A_b_log" not in tensors:
        return "fo-fo"
    return "bi-bi" if "layers.0.mixer.conv1d_b.weight" in tensors else "fo-bi"


def sized_for(
    config: AudioMambaConfig,
    patches: int,
    upstream_rule: bool = False,
    fixed: bool = False,
) -> AudioMambaConfig:
    """``config`` with the mels and frames that a position table of ``patches`` rows was made for.

    The config's own size is kept where it fits, unless ``upstream_rule`` asks for AuM's way: 128
    mels and the first power of two of frames that fits. ``fixed`` keeps the config's own mels and
    takes its frames as stated if it has any other than the default.

    Raises:
        CheckpointError: If no size fits.
    """
    mels = config.n_mels if fixed else UPSTREAM_MELS
    candidates = [
        replace(config, n_mels=mels, n_frames=frames)
        for frames in UPSTREAM_FRAMES
        if config.patch_size[0] <= mels and config.patch_size[1] <= frames
    ]
    candidates.insert(len(candidates) if upstream_rule else 0, config)
    for candidate in candidates:
        gf, gt = patch_grid(candidate)
        if gf * gt == patches:
            return candidate
    gf, gt = patch_grid(config)
    raise CheckpointError(
        f"The position table has {patches} patches; {config.n_mels} mels by {config.n_frames} "
        f"frames in patches of {config.patch_size} at stride {config.stride or config.patch_size} "
        f"have {gf} x {gt} = {gf * gt}. Give the flag "
        "`checkpoint_spectrogram_size` as [mels, frames], and the stride if it is not the patch."
    )
