"""AST encoders pretrained without labels, fine-tuned ones, and AST itself.

Read are SSAST's files (and AST's, of the same names) and state dicts of transformers' ASTModel and
ASTForAudioClassification, alone or inside another module with a linear head.

=============================  ====================================================================
upstream                       here
=============================  ====================================================================
input_fdim, input_tdim         (n_mels, n_frames) wanted (or num_mel_bins with SSAST, target_length)
fstride, tstride               stride (freq, time) wanted
label_dim, n_class             n_classes; without it an encoder stays one
task ft_avgtok, ft_cls         pooling mean, class
num_mel_bins, max_length       transformers: (n_mels, n_frames) of the checkpoint
frequency_stride, time_stride  transformers: stride of the checkpoint
num_attention_heads, num_heads n_heads; without it d_model / 64, as all published sizes have it
layer_norm_eps                 norm_eps and the head's: 1e-12; SSAST 1e-6 and 1e-5
hidden_dropout_prob            dropout
attention_probs_dropout_prob   attention_dropout
=============================  ====================================================================

Another size than the checkpoint's is reached by SSAST's rule: the middle is cut out of a longer
axis of the position table, a shorter one is interpolated. Names: :mod:`.ast_names`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from aum_edge.checkpoints.ast_names import hugging_face_names, is_hugging_face, ssast_names
from aum_edge.checkpoints.classifier import classifier, classifier_settings
from aum_edge.checkpoints.flags import Flags
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.checkpoints.shapes import PATCH, POSITIONS, UPSTREAM_FRAMES
from aum_edge.checkpoints.strict_load import load_strict
from aum_edge.core.text import few
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.architectures.ast import AudioSpectrogramTransformer
from aum_edge.models.architectures.patches import patch_grid
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AstConfig

WHAT = "The AST checkpoint"
POOLING = {"ft_avgtok": "mean", "ft_cls": "class"}
HEAD_WIDTH = 64
OVERLAP = (10, 10)
"""Stride of the published fine-tuned models."""


def convert_ast_ssl(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> AudioClassifier:
    """An encoder or a classifier that gives the checkpoint's own numbers.

    Raises:
        AumEdgeError: If transformers is not installed.
        CheckpointError: If a tensor is missing, unexpected or of another shape.
        RecipeError: If a flag is unknown or contradicts the tensors.
    """
    notes: list[str] = []
    flags = Flags(values)
    hugging_face = is_hugging_face(tensors)
    named = hugging_face_names(tensors) if hugging_face else ssast_names(tensors, notes)
    sizes = [named.pop(name, None) for name in ("p_input_fdim", "p_input_tdim")]
    shapes = shape_fields(named)
    agree(flags, shapes)
    config = replace(plain_config(flags, shapes, hugging_face), **head_fields(named))
    rows = named[POSITIONS].shape[1] - config.class_tokens
    if sizes[0] is not None and sizes[1] is not None:
        source = replace(config, n_mels=int(sizes[0]), n_frames=int(sizes[1]))
    else:
        _both_or_none(sizes)
        stated = checkpoint_size(flags, config, hugging_face)
        source = sized(stated, rows, stated=hugging_face)
        if source != stated:
            notes.append(
                f"The position table is one of {source.n_frames} frames at stride {source.stride}."
            )
    target = wanted(flags, source, hugging_face)
    settings = classifier_settings(flags, target.n_mels, target.n_frames, target.n_classes, notes)
    flags.ignore("model_size", "pretrain_stage", "model_type")
    flags.finish()
    network = AudioSpectrogramTransformer(source)
    load_strict(network, named, WHAT)
    if source != target:
        other = AudioSpectrogramTransformer(target)
        notes += initialise_from(other, network, "ssamba")
        network = other
    return classifier(network, settings, "ast-ssl", notes, values)


def _both_or_none(sizes: list[Tensor | None]) -> None:
    if sizes[0] is not sizes[1]:
        name = "p_input_fdim" if sizes[0] is None else "p_input_tdim"
        raise CheckpointError(f"{WHAT} lacks {name}, half of the size it was pretrained at.")


def shape_fields(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Fields of :class:`AstConfig` that names and shapes settle.

    Raises:
        CheckpointError: If these are not the tensors of an AST.
    """
    first = "layers.0.mlp.fc1.weight"
    absent = [name for name in (PATCH, POSITIONS, "cls_tokens", first) if name not in tensors]
    if absent:
        raise CheckpointError(f"{WHAT} lacks {few(absent)}; it has {few(sorted(tensors))}.")
    kernel, table = tensors[PATCH], tensors[POSITIONS]
    if kernel.ndim != 4 or kernel.shape[1] != 1 or table.ndim != 3 or tensors[first].ndim != 2:
        raise CheckpointError(
            f"{WHAT} is of another model: its patch kernel is {tuple(kernel.shape)}, its position "
            f"table {tuple(table.shape)}; wanted are (width, 1, freq, time) and (1, rows, width)."
        )
    numbers = [re.match(r"layers\.(\d+)\.", name) for name in tensors]
    return {
        "d_model": kernel.shape[0],
        "depth": 1 + max(int(number[1]) for number in numbers if number),
        "patch_size": (kernel.shape[2], kernel.shape[3]),
        "d_hidden": tensors[first].shape[0],
        "class_tokens": tensors["cls_tokens"].shape[1],
        "qkv_bias": "layers.0.attention.q_proj.bias" in tensors,
    }


def head_fields(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Kind of the head and its classes; none is an encoder."""
    for name, kind in (("head.1.weight", "norm-linear"), ("head.weight", "linear")):
        if name in tensors:
            return {"n_classes": tensors[name].shape[0], "head": kind}
    return {"n_classes": 0, "head": "norm-linear"}


def agree(flags: Flags, shapes: Mapping[str, Any]) -> None:
    """Check that flags agree with what names and shapes of tensors determine.

    Raises:
        CheckpointError: Naming the flag and both values.
    """
    patch = shapes["patch_size"]
    stated = {
        "d_model": flags.take(shapes["d_model"], "hidden_size"),
        "depth": flags.take(shapes["depth"], "num_hidden_layers"),
        "d_hidden": flags.take(shapes["d_hidden"], "intermediate_size"),
        "qkv_bias": flags.take(shapes["qkv_bias"], "qkv_bias"),
        "patch_size": (flags.take(patch[0], "fshape"), flags.take(patch[1], "tshape")),
    }
    if flags.has("patch_size"):
        stated["patch_size"] = flags.take(patch, "patch_size")
    wrong = [f"{k} {v!r}, its tensors {shapes[k]!r}" for k, v in stated.items() if v != shapes[k]]
    if wrong:
        raise CheckpointError(f"The checkpoint is another model: the flags say {wrong[0]}.")


def plain_config(flags: Flags, shapes: Mapping[str, Any], hugging_face: bool) -> AstConfig:
    """What tensors and flags say of the network but its size and head."""
    flags.refuse("gelu", "hidden_act")
    d_model = shapes["d_model"]
    eps = flags.take(1e-12 if hugging_face else 1e-6, "layer_norm_eps")
    task = flags.take("ft_cls" if hugging_face else "ft_avgtok", "task")
    if task not in POOLING and not task.startswith("pretrain_"):
        raise RecipeError(f"The flag `task` must be ft_avgtok or ft_cls, got {task!r}.")
    return AstConfig(
        **shapes,
        n_classes=0,
        n_heads=flags.take(max(1, d_model // HEAD_WIDTH), "num_attention_heads", "num_heads"),
        n_mels=shapes["patch_size"][0],
        n_frames=shapes["patch_size"][1],
        pooling=POOLING.get(task, "mean"),  # type: ignore[arg-type]
        norm_eps=eps,
        head_norm_eps=eps if hugging_face else 1e-5,
        dropout=flags.take(0.0, "hidden_dropout_prob"),
        attention_dropout=flags.take(0.0, "attention_probs_dropout_prob"),
    )


def checkpoint_size(flags: Flags, config: AstConfig, hugging_face: bool) -> AstConfig:
    """The size and stride that the flags give the checkpoint; 0 frames are unknown."""
    if hugging_face:
        stride = (
            flags.take(OVERLAP[0], "frequency_stride"),
            flags.take(OVERLAP[1], "time_stride"),
        )
        mels = flags.take(128, "num_mel_bins")
        return replace(config, n_mels=mels, n_frames=flags.take(1024, "max_length"), stride=stride)
    patch = config.patch_size
    mels = flags.take(128, "input_fdim", "num_mel_bins")
    frames = flags.take(1024, "input_tdim", "target_length")
    stride = (flags.take(patch[0], "fstride"), flags.take(patch[1], "tstride"))
    return replace(config, n_mels=mels, n_frames=frames, stride=None if stride == patch else stride)


def sized(config: AstConfig, patches: int, stated: bool) -> AstConfig:
    """``config``, or with a published stride and length, so that the position table fits.

    Raises:
        CheckpointError: If none does, or ``stated`` sizes do not.
    """
    strides = (config.stride, OVERLAP)
    candidates = [config] + [
        replace(config, n_frames=frames, stride=stride)
        for frames in ([] if stated else [config.n_frames, *UPSTREAM_FRAMES])
        for stride in strides
        if frames >= config.patch_size[1]
    ]
    for candidate in candidates:
        grid = patch_grid(candidate)
        if grid[0] * grid[1] == patches:
            return candidate
    grid = patch_grid(config)
    names = "num_mel_bins, max_length, frequency_stride, time_stride"
    names = names if stated else "input_fdim, input_tdim, fstride, tstride"
    raise CheckpointError(
        f"{WHAT} has positions for {patches} patches; {config.n_mels} mels by {config.n_frames} "
        f"frames in patches of {config.patch_size} at stride {config.stride or config.patch_size} "
        f"are {grid[0]} x {grid[1]}. Give the flags {names}."
    )


def wanted(flags: Flags, source: AstConfig, hugging_face: bool) -> AstConfig:
    """``source`` with the size, stride and classes that the flags ask for."""
    patch, stride = source.patch_size, source.stride or source.patch_size
    names = ("input_fdim",) if hugging_face else ("input_fdim", "num_mel_bins")
    mels = flags.take(source.n_mels, *names)
    frames = flags.take(source.n_frames, "input_tdim", "target_length")
    stride = (flags.take(stride[0], "fstride"), flags.take(stride[1], "tstride"))
    return replace(
        source,
        n_mels=mels,
        n_frames=frames,
        stride=None if stride == patch else stride,
        n_classes=flags.take(source.n_classes, "label_dim", "n_class", "num_classes"),
    )
