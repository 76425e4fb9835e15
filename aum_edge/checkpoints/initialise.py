"""Initialisation from another network's weights: other classes, lengths or patches."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.checkpoints.shapes import PATCH, POSITIONS
from aum_edge.checkpoints.strict_load import load_strict
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.architectures.masked_patch import MaskedPatchModel
from aum_edge.models.architectures.patches import PatchedBackbone
from aum_edge.models.architectures.resize import Size, resize_patch_kernel, resize_positions
from aum_edge.models.config import AstConfig, AudioMambaConfig

Rule = Literal["aum", "ssamba"]
HEADS = ("head.", "feed_forward.")
"""Where the networks of this project keep their classes."""
MEANING = (
    "class_token",
    "token_order",
    "halve_directions",
    "layer_pairs",
    "final_norms",
    "norm_eps",
)
"""Fields that change what weights mean without changing their shapes."""


def initialise_from(
    target: nn.Module, source: nn.Module, rule: Rule = "aum", keep_head: bool = True
) -> list[str]:
    """Give ``target`` the weights of ``source``; returns one note for every difference.

    The networks are of one kind, width and depth. For an AuM and an AST the position table and
    the patch kernel are resized. A head of another class count or kind, or with ``keep_head``
    False, stays as it is. A masked-patch model stands for its encoder; between two of them the
    predictors are taken over too.

    Args:
        target: Receives the weights.
        source: Is not changed.
        rule: How position tables are resized: ``aum`` interpolates with low-pass; ``ssamba`` cuts
            the middle out of a longer table and interpolates a shorter one.
        keep_head: Whether the classes are the same ones, so that the head may be taken over.

    Raises:
        CheckpointError: If tensors are missing, unexpected or of another shape; ``target`` is
            then unchanged.
    """
    whole = target, source
    target, source = _encoder(target), _encoder(source)
    weights, notes = dict(source.state_dict()), []
    if isinstance(target, PatchedBackbone) and isinstance(source, PatchedBackbone):
        notes += _geometry(target, source, weights, rule)
        notes += _meaning(target.config, source.config)
    notes += _head(target, weights, keep_head)
    load_strict(target, weights, "The starting model")
    return notes + _predictors(*whole)


def _encoder(network: nn.Module) -> nn.Module:
    """The network that is taken over: a masked-patch model's is inside it."""
    inner = getattr(network, "encoder", None)
    return inner if isinstance(inner, Backbone) else network


def _predictors(target: nn.Module, source: nn.Module) -> list[str]:
    """Mask embedding and predictors, if both networks have them."""
    if not (isinstance(target, MaskedPatchModel) and isinstance(source, MaskedPatchModel)):
        return []
    if target.config.patch_size != source.config.patch_size:
        return ["Mask embedding and predictors start fresh: the patches are of another size."]
    theirs = source.state_dict()
    with torch.no_grad():
        for name, tensor in target.state_dict().items():
            if not name.startswith("encoder."):
                tensor.copy_(theirs[name])
    return []


def _geometry(
    target: PatchedBackbone, source: PatchedBackbone, weights: dict[str, Tensor], rule: Rule
) -> list[str]:
    notes = []
    old, new = source.config.patch_size, target.config.patch_size
    if old != new:
        weights[PATCH] = resize_patch_kernel(weights[PATCH], new)
        notes.append(f"Patch kernel resized from {old} to {new} by its pseudo-inverse.")
    if source.grid != target.grid and POSITIONS in weights:
        n = len(source.class_index)
        resize = resize_positions if rule == "aum" else crop_positions
        weights[POSITIONS] = resize(weights[POSITIONS], n, source.grid, target.grid)
        notes.append(
            f"Position table resized from {source.grid[0]} x {source.grid[1]} to "
            f"{target.grid[0]} x {target.grid[1]} patches by the rule of {rule}."
        )
    return notes


def _meaning(
    target: AudioMambaConfig | AstConfig, source: AudioMambaConfig | AstConfig
) -> list[str]:
    return [
        f"`{name}` is {getattr(target, name)!r}, the starting model has "
        f"{getattr(source, name)!r}: its weights will mean something else."
        for name in MEANING
        if hasattr(target, name) and hasattr(source, name)
        if getattr(target, name) != getattr(source, name)
    ]


def _head(target: nn.Module, weights: dict[str, Tensor], keep: bool) -> list[str]:
    """Put the target's own head among the weights where the source's cannot serve."""
    own = {name: t for name, t in target.state_dict().items() if name.startswith(HEADS)}
    theirs = {name: t for name, t in weights.items() if name.startswith(HEADS)}
    shapes = [{name: t.shape for name, t in head.items()} for head in (own, theirs)]
    if (not own and not theirs) or (keep and shapes[0] == shapes[1]):
        return []
    for name in theirs:
        del weights[name]
    weights.update(own)
    if not own:
        return ["The starting model's head is left out."]
    if not theirs:
        return ["The head starts fresh: the starting model has none."]
    if shapes[0] == shapes[1]:
        return ["The head starts fresh: the classes are others."]
    return ["The head starts fresh: the starting model has another number of classes."]


def crop_positions(table: Tensor, n_tokens: int, old: Size, new: Size) -> Tensor:
    """SSAMBA's rule: the middle of a longer axis, a shorter axis interpolated without low-pass.

    Shape:
        (1, n_tokens + old patches, d_model) to (1, n_tokens + new patches, d_model).
    """
    tokens, patches = table[:, :n_tokens], table[:, n_tokens:]
    grid = patches.transpose(1, 2).unflatten(2, old)
    for axis, size in ((3, new[1]), (2, new[0])):
        have = grid.shape[axis]
        if size < have:
            grid = grid.narrow(axis, have // 2 - size // 2, size)
        elif size > have:
            shape = (size, grid.shape[3]) if axis == 2 else (grid.shape[2], size)
            grid = F.interpolate(grid, shape, mode="bilinear", align_corners=False)
    return torch.cat([tokens, grid.flatten(2).transpose(1, 2)], dim=1)
