"""Names of AST checkpoints in ours: SSAST's and AST's own files, and those of transformers.

=================================  ==============================  ================================
here                               SSAST, AST (timm)               transformers
=================================  ==============================  ================================
cls_tokens                         v.cls_token, v.dist_token       embeddings.cls_token,
                                                                   embeddings.distillation_token
pos_embed.pos_embed                v.pos_embed                     embeddings.position_embeddings
patch_embed.proj                   v.patch_embed.proj              embeddings.patch_embeddings.
                                                                   projection
layers.i.layernorm_before, _after  v.blocks.i.norm1, norm2         encoder.layer.i.layernorm_before,
                                                                   _after
layers.i.attention.q_, k_, v_proj  v.blocks.i.attn.qkv, in thirds  attention.attention.query, key,
                                                                   value
layers.i.attention.o_proj          v.blocks.i.attn.proj            attention.output.dense
layers.i.mlp.fc1, fc2              v.blocks.i.mlp.fc1, fc2         intermediate.dense, output.dense
layernorm                          v.norm                          layernorm
head.0, head.1                     mlp_head.0, mlp_head.1          classifier.layernorm, .dense
head                               (none)                          classifier, head or fc, linear
=================================  ==============================  ================================

transformers from version 5 names blocks as we do in memory and writes the older names to files;
both are read. Sources: SSAST ``src/models/ast_models.py`` over timm 0.4.5's distilled DeiT;
transformers ``models/audio_spectrogram_transformer``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from aum_edge.checkpoints.strict_load import drop, rename, strip_prefixes
from aum_edge.core.text import few
from aum_edge.errors import CheckpointError

HF_MARK = "embeddings.cls_token"
HF_HEADS = ("classifier.", "head.", "fc.", "linear.")
HEAD_NAME = re.compile(r"(?:.*\.)?(?:classifier|head|fc|linear)\.(layernorm\.|dense\.|)")
SSAST_UNUSED = {
    "v.head.": "ImageNet's classes, which AST never uses",
    "v.head_dist.": "ImageNet's classes of the distillation token, which AST never uses",
    "mask_embed": "what stands for masked patches in pretraining alone",
    "cpredlayer.": "the discriminative predictor of pretraining",
    "gpredlayer.": "the generative predictor of pretraining",
}
SSAST_BLOCK = {
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "attn.proj.": "attention.o_proj.",
    "attn.qkv.": "attention.qkv.",
}
HF_BLOCK = {
    "attention.attention.query.": "attention.q_proj.",
    "attention.attention.key.": "attention.k_proj.",
    "attention.attention.value.": "attention.v_proj.",
    "attention.output.dense.": "attention.o_proj.",
    "intermediate.dense.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
}


def is_hugging_face(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are the names of transformers."""
    return any(name.endswith(HF_MARK) for name in tensors)


def ssast_names(tensors: Mapping[str, Tensor], notes: list[str]) -> dict[str, Tensor]:
    """Tensors of an SSAST or AST checkpoint under our names; what is unused goes, with a note.

    Raises:
        CheckpointError: If it has no class token or a qkv that is not three equal parts.
    """
    named = strip_prefixes(tensors, "module.")
    for prefix, reason in SSAST_UNUSED.items():
        drop(named, prefix, reason, notes)
    _join_tokens(named, "v.cls_token", "v.dist_token")
    table = {"v.pos_embed": "pos_embed.pos_embed", "v.patch_embed.": "patch_embed."}
    table |= {"v.norm.": "layernorm.", "mlp_head.": "head."}
    named = _split_qkv(_rename_blocks(rename(named, table), "v.blocks", SSAST_BLOCK))
    return named


def hugging_face_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of an ASTModel, alone or inside another module, under our names.

    Raises:
        CheckpointError: If two tensors get one name.
    """
    mark = next(name for name in tensors if name.endswith(HF_MARK))
    prefix = mark.removesuffix(HF_MARK)
    own = {n for n in tensors if (n.startswith(prefix) if prefix else not n.startswith(HF_HEADS))}
    inside = {name.removeprefix(prefix): tensors[name] for name in tensors if name in own}
    _join_tokens(inside, HF_MARK, "embeddings.distillation_token")
    table = {
        "embeddings.position_embeddings": "pos_embed.pos_embed",
        "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    }
    inside = _rename_blocks(rename(inside, table), "encoder.layer", HF_BLOCK)
    return inside | _head_names({name: t for name, t in tensors.items() if name not in own})


def _head_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``classifier.dense`` and ``.layernorm`` as head.1 and head.0, a lone linear as head."""
    table = {}
    for name in tensors:
        found = HEAD_NAME.match(name)
        if found is not None:
            table[found[0]] = {"layernorm.": "head.0.", "dense.": "head.1."}.get(found[1], "head.")
    return rename(tensors, table)


def _rename_blocks(
    tensors: Mapping[str, Tensor], start: str, table: Mapping[str, str]
) -> dict[str, Tensor]:
    pattern = re.compile(rf"{re.escape(start)}\.(\d+)\.(.*)")
    named = {}
    for name, tensor in tensors.items():
        found = pattern.fullmatch(name)
        if found is None:
            named[name] = tensor
            continue
        (inner,) = rename({found[2]: tensor}, table)
        named[f"layers.{found[1]}.{inner}"] = tensor
    return named


def _split_qkv(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One projection of timm holds the rows of queries, keys and values, in this order."""
    named = {}
    for name, tensor in tensors.items():
        if ".attention.qkv." not in name:
            named[name] = tensor
            continue
        rows = len(tensor) if tensor.ndim else 1
        if rows % 3:
            raise CheckpointError(f"{name} has {rows} rows, not three equal parts for q, k and v.")
        for letter, part in zip("qkv", tensor.chunk(3), strict=True):
            named[name.replace("qkv", f"{letter}_proj")] = part
    return named


def _join_tokens(tensors: dict[str, Tensor], first: str, second: str) -> None:
    """Class and distillation token as the rows of one tensor, in place."""
    if first not in tensors:
        raise CheckpointError(f"The AST checkpoint lacks {first}; it has {few(sorted(tensors))}.")
    tokens = [tensors.pop(name) for name in (first, second) if name in tensors]
    if any(t.ndim != 3 or t.shape != tokens[0].shape for t in tokens):
        shapes = ", ".join(str(tuple(t.shape)) for t in tokens)
        raise CheckpointError(f"The class tokens of the AST checkpoint have the shapes {shapes}.")
    tensors["cls_tokens"] = torch.cat(tokens, dim=1)
