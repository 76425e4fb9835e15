"""AST, a transformer as teacher: patches, class tokens, pre-norm attention blocks, head.

The blocks and the last norm are those of the ``ASTModel`` of transformers, built from a config
and never downloaded; patches, positions and class tokens are ours, so that patches may be
rectangular (SSAST's frames) and the class tokens one or two. Input, attribute names and resizing
are those of :class:`~aum_edge.models.architectures.audio_mamba.AudioMamba`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.errors import AumEdgeError
from aum_edge.models.architectures.base import NetworkParts, first_output
from aum_edge.models.architectures.patches import (
    PatchedBackbone,
    PatchEmbed,
    PositionTable,
    half_overlapping,
    patch_grid,
)
from aum_edge.models.architectures.resize import resize_positions
from aum_edge.models.config import AstConfig
from aum_edge.models.registry import Factory, register_architecture

PARTS = frozenset(
    "attention.q_proj attention.k_proj attention.v_proj attention.o_proj layernorm_before "
    "layernorm_after mlp.fc1 mlp.fc2".split()
)
"""Layers of a block, under whose names model directories hold their weights."""


PRESETS: dict[str, Factory] = {
    "ast-base": partial(AstConfig, d_model=768, n_heads=12, stride=(10, 10)),
    "ast-small": partial(AstConfig, d_model=384, n_heads=6, stride=(10, 10)),
    "ast-tiny": partial(AstConfig, d_model=192, n_heads=3, stride=(10, 10)),
    "ast-mini": partial(half_overlapping, AstConfig, d_model=128, depth=4, n_heads=4),
}


@register_architecture("ast", AstConfig, role="teacher", presets=PRESETS)
class AudioSpectrogramTransformer(PatchedBackbone):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes).

    Features of another length are taken as well: the position table is resized on the way.

    Raises:
        AumEdgeError: If transformers is not installed.
    """

    def __init__(self, config: AstConfig) -> None:
        super().__init__()
        self.config: AstConfig = config
        size, tokens = config.d_model, config.class_tokens
        self.patch_embed = PatchEmbed(config)
        self.grid = patch_grid(config)
        self.class_index = tuple(range(tokens))
        self.cls_tokens = nn.Parameter(0.02 * torch.randn(1, tokens, size))
        self.pos_embed = PositionTable(tokens + self.grid[0] * self.grid[1], size)
        self.layers, self.layernorm = _blocks(config)
        if config.n_classes:
            self.head = _head(config)

    def forward(self, x: Tensor) -> Tensor:
        """Logits; an encoder (``n_classes`` 0) gives what its head would see.

        Raises:
            AudioError: If ``x`` is smaller than one patch.
        """
        patches, grid = self.patch_embed(x)
        features = self.pool(self.encode(patches, grid))
        return self.head(features) if self.config.n_classes else features

    def encode(self, patches: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """Patches (B, P, d_model), frequency-major, to normalised tokens, class tokens first."""
        n = self.config.class_tokens
        table = resize_positions(self.pos_embed.pos_embed, n, self.grid, grid or self.grid)
        special = self.cls_tokens.expand(patches.shape[0], -1, -1)
        tokens = torch.cat([special, patches], dim=1) + table
        tokens = F.dropout(tokens, self.config.dropout, self.training)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.layernorm(tokens)

    def pool(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L, d_model) to (B, d_model): the mean of the class tokens or the patches."""
        n = self.config.class_tokens
        if self.config.pooling == "mean":
            return tokens[:, n:].mean(dim=1)
        return tokens[:, 0] if n == 1 else (tokens[:, 0] + tokens[:, 1]) / 2

    def parts(self) -> NetworkParts | None:
        """Layers, last norm and head; an encoder has no head."""
        if not self.config.n_classes:
            return None
        return NetworkParts(tuple(self.layers), (self.layernorm,), self.head)

    def block_groups(self) -> list[tuple[nn.Module, ...]]:
        """Layers."""
        return [(layer,) for layer in self.layers]

    def block_tokens(self, outputs: list[Any]) -> Tensor:
        """Class tokens out, frequency averaged."""
        return self.patch_tokens(first_output(outputs))


def _blocks(config: AstConfig) -> tuple[nn.ModuleList, nn.Module]:
    """The attention blocks and the last norm of transformers' ASTModel."""
    library = _transformers()
    model = library.ASTModel(
        library.ASTConfig(
            hidden_size=config.d_model,
            num_hidden_layers=config.depth,
            num_attention_heads=config.n_heads,
            intermediate_size=config.d_hidden or 4 * config.d_model,
            hidden_act="gelu",
            hidden_dropout_prob=config.dropout,
            attention_probs_dropout_prob=config.attention_dropout,
            layer_norm_eps=config.norm_eps,
            qkv_bias=config.qkv_bias,
            # Its own embedding is not used: one patch, the smallest there is.
            patch_size=1,
            frequency_stride=1,
            time_stride=1,
            num_mel_bins=1,
            max_length=1,
            attn_implementation="sdpa",
        )
    )
    layers = getattr(model, "layers", None)
    if layers is None or not PARTS.issubset(name for name, _ in layers[0].named_modules()):
        raise AumEdgeError(
            f"transformers {library.__version__} names the parts of an AST differently: "
            "pip install 'aum-edge[ast]' brings a version that this aum-edge reads."
        )
    return layers, model.layernorm


def _head(config: AstConfig) -> nn.Module:
    linear = nn.Linear(config.d_model, config.n_classes)
    if config.head == "linear":
        return linear
    return nn.Sequential(nn.LayerNorm(config.d_model, config.head_norm_eps), linear)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise AumEdgeError(
            f"AST needs the transformers library ({error}): pip install 'aum-edge[ast]'."
        ) from error
    if not hasattr(transformers, "ASTModel"):
        raise AumEdgeError(
            f"transformers {transformers.__version__} has no ASTModel: "
            "pip install --upgrade 'aum-edge[ast]'."
        )
    return transformers
