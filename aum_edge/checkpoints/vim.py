"""ImageNet Vim checkpoints as the start of an AuM (AuM's ``imagenet_pretrain``).

The RGB kernel becomes one channel by its mean; the position row of the class token moves to the
front; the table, made for a square grid, is resized to the spectrogram's; the ImageNet head goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from aum_edge.checkpoints.aum import aum_config, load_network, rebuilt
from aum_edge.checkpoints.classifier import classifier, classifier_settings
from aum_edge.checkpoints.flags import Flags
from aum_edge.checkpoints.shapes import PATCH, POSITIONS, network_shapes
from aum_edge.checkpoints.strict_load import drop, rename, strip_prefixes
from aum_edge.core.text import few
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.classifier import AudioClassifier

NEEDED = ("num_classes", "n_class")


def convert_vim(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> AudioClassifier:
    """An ImageNet Vim as an AuM with a fresh head, by the flags of the AuM that is wanted.

    Flags are AuM's (:mod:`aum_edge.checkpoints.aum`); the class count and the spectrogram size
    are needed. ``imagenet_load_middle_cls_token`` (True) and ``imagenet_load_double_cls_token``
    (False) say where the checkpoint's class tokens lie.

    Raises:
        CheckpointError: If a tensor is missing, unexpected or of another shape, or the table is
            not of a square grid.
        RecipeError: If a flag is unknown, missing or contradicts the tensors.
    """
    notes: list[str] = []
    flags = Flags({k: v for k, v in values.items() if k != "imagenet_pretrain"})
    flags.refuse(False, "aum_pretrain")
    flags.ignore("aum_pretrain_fstride", "aum_pretrain_tstride")
    named = strip_prefixes(tensors, "module.", "_orig_mod.")
    for prefix, reason in (
        ("head.", "1000 ImageNet classes; the new head starts fresh"),
        ("rope.", "rotary positions, which AuM leaves out when it loads Vim"),
    ):
        drop(named, prefix, reason, notes)
    named = rename(named, {"pos_embed": POSITIONS})
    found = network_shapes(named, "The Vim checkpoint")
    _check_flags(flags)
    if found.position_rows is None or named[PATCH].shape[1] != 3 or not found.class_tokens:
        raise CheckpointError(
            "This is no ImageNet Vim: it needs pos_embed, a class token and a patch kernel for "
            f"three colours; it has {few(sorted(named))}. An AuM converts with --kind aum."
        )
    if not named[PATCH].is_floating_point():
        raise CheckpointError(f"{PATCH} of the Vim checkpoint is {named[PATCH].dtype}, no float.")
    named[PATCH] = named[PATCH].mean(dim=1, keepdim=True)
    notes.append("The kernels of red, green and blue became their mean.")
    double = flags.take(found.class_tokens == 2, "imagenet_load_double_cls_token")
    middle = flags.take(True, "imagenet_load_middle_cls_token")
    named[POSITIONS] = prefixed(named[POSITIONS], double, middle)
    target = aum_config(flags, found)
    settings = classifier_settings(flags, target.n_mels, target.n_frames, target.n_classes, notes)
    flags.finish()
    patch = found.fields["patch_size"]
    side = isqrt(named[POSITIONS].shape[1] - found.class_tokens)
    source = replace(
        target,
        patch_size=patch,
        stride=None,
        n_mels=side * patch[0],
        n_frames=side * patch[1],
        n_classes=0,
    )
    network = load_network(source, named, "The Vim checkpoint")
    return classifier(rebuilt(network, target, notes), settings, "vim", notes, values)


def prefixed(table: Tensor, double: bool, middle: bool) -> Tensor:
    """Position rows in sequence order with those of the class tokens moved to the front.

    Shape:
        (1, tokens + g * g, d_model) to the same.

    Raises:
        CheckpointError: If the patches make no square grid.
    """
    rows = table.shape[1]
    tokens = 2 if double else 1
    if isqrt(rows - tokens) ** 2 != rows - tokens:
        raise CheckpointError(
            f"The Vim position table has {rows} rows, which is no square grid and {tokens} class "
            "tokens; check `imagenet_load_double_cls_token`."
        )
    places = [0, rows - 1] if double else [(rows - 1) // 2 if middle else 0]
    others = [row for row in range(rows) if row not in places]
    return table[:, torch.tensor(places + others)]


def _check_flags(flags: Flags) -> None:
    if not flags.has(*NEEDED):
        raise RecipeError("A Vim has no audio classes: give the flag `n_class`.")
    if not flags.has("spectrogram_size", "audio_length"):
        raise RecipeError(
            "A Vim knows no spectrogram: give the flag `audio_length` (frames), or "
            "`spectrogram_size` as [mels, frames]."
        )
