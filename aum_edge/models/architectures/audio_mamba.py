"""AuM, the teacher: patches of a spectrogram, class token, Mamba layers, head.

Parameter names and arithmetic follow the published model (arXiv 2406.03344), so that its weights
load unchanged and give its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from aum_edge.models.architectures.base import NetworkParts
from aum_edge.models.architectures.patches import (
    PatchedBackbone,
    PatchEmbed,
    PositionTable,
    half_overlapping,
    patch_grid,
    without,
)
from aum_edge.models.architectures.prunable import PrunableBackbone, Sizes, block_sizes
from aum_edge.models.architectures.resize import Size, resize_positions
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.registry import Factory, register_architecture
from aum_edge.ssm.layers import RMSNorm
from aum_edge.ssm.mixers.groups import Dimension, Group, GroupMember, Key
from aum_edge.ssm.mixers.mamba import MambaMixer

HEAD_EPS = 1e-5
HIDDEN = 512
DROPOUT = 0.1
TOKENS = ("cls_token", "cls_token_head", "cls_token_tail", "pos_embed.pos_embed")
"""Parameters (1, rows, d_model) that are added to patches or stand among them."""


PRESETS: dict[str, Factory] = {
    "aum-base": partial(AudioMambaConfig, d_model=768, direction="fo-bi"),
    "aum-small": partial(AudioMambaConfig, d_model=384, direction="bi-bi"),
    "aum-tiny": partial(AudioMambaConfig, d_model=192, direction="bi-bi"),
    "aum-mini": partial(
        half_overlapping, AudioMambaConfig, d_model=128, depth=4, d_state=8, direction="bi-bi"
    ),
}


class Layer(nn.Module):
    """residual += hidden; hidden = mixer(norm(residual)), the residual in float32 at least."""

    def __init__(self, config: AudioMambaConfig, index: int) -> None:
        super().__init__()
        self.norm = make_norm(config)
        self.mixer = MambaMixer(
            config.d_model,
            d_inner=config.block_inner[index],
            d_state=config.block_d_state[index],
            d_conv=config.d_conv,
            dt_rank=config.block_dt_ranks[index],
            direction=config.direction,
            halve=config.halve_directions,
            layer_scale=config.layer_scale,
        )
        self.drop_path = config.drop_path * index / max(1, config.depth - 1)

    def forward(self, hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both (B, L, d_model); with drop path a clip may skip this layer in training."""
        if residual is not None and self.training and self.drop_path > 0:
            keep = torch.rand(hidden.shape[0], 1, 1, device=hidden.device) >= self.drop_path
            hidden = hidden * keep / (1 - self.drop_path)
        hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        residual = hidden if residual is None else residual + hidden
        return self.mixer(self.norm(residual)), residual


@register_architecture("audio_mamba", AudioMambaConfig, role="teacher", presets=PRESETS)
class AudioMamba(PrunableBackbone, PatchedBackbone):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes).

    Features of another length, another patch size or another stride are taken as well: the patch
    kernel and the position table are resized on the way.
    """

    blocks_name: ClassVar[str] = "layers"

    def __init__(self, config: AudioMambaConfig) -> None:
        super().__init__()
        self.config: AudioMambaConfig = config
        size = config.d_model
        self.patch_embed = PatchEmbed(config)
        self.grid = patch_grid(config)
        if config.class_token == "double":
            self.cls_token_head = nn.Parameter(0.02 * torch.randn(1, 1, size))
            self.cls_token_tail = nn.Parameter(0.02 * torch.randn(1, 1, size))
        elif config.class_token != "none":
            self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, size))
        self.n_patches = self.grid[0] * self.grid[1]
        self.class_index = class_index(config, self.n_patches)
        if config.position_embedding:
            rows = len(self.class_index) + self.n_patches
            self.pos_embed = PositionTable(rows, size)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.depth))
        self.norm_f = make_norm(config)
        if config.n_classes:
            self.head = _make_head(config.head, size, config.n_classes)

    def forward(
        self, x: Tensor, patch_size: Size | None = None, stride: Size | None = None
    ) -> Tensor:
        """Logits; an encoder (``n_classes`` 0) gives what its head would see.

        Args:
            x: Normalised log-mel (B, 1, n_mels, n_frames).
            patch_size: (freq, time) instead of the config's; the kernel is resized by ``pi``.
            stride: (freq, time) instead of the config's.

        Raises:
            AudioError: If ``x`` is smaller than one patch.
        """
        features = self.features(x, patch_size, stride)
        if not self.config.n_classes:
            return features
        logits = self.head(features)
        return logits.amax(dim=1) if self.config.pooling == "max" else logits

    def features(
        self, x: Tensor, patch_size: Size | None = None, stride: Size | None = None
    ) -> Tensor:
        """What enters the head: (B, d_model), or every token (B, L, d_model) for max and all."""
        patches, grid = self.patch_embed(x, patch_size, stride)
        return self.pool(self.encode(patches, grid))

    def embed(self, x: Tensor) -> Tensor:
        """Patches (B, n_patches, d_model) before positions, frequency-major."""
        patches, _ = self.patch_embed(x)
        return patches

    def encode(self, patches: Tensor, grid: Size | None = None) -> Tensor:
        """Patches (B, P, d_model) to normalised tokens (B, L, d_model), class tokens included."""
        tokens = self._run(self._tokens(patches, grid or self.grid))
        for _ in range(self.config.final_norms):
            tokens = self.norm_f(tokens)
        return tokens

    def pool(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L, d_model) to what the head sees."""
        kind = self.config.pooling
        places = class_index(self.config, tokens.shape[1] - len(self.class_index))
        if kind == "class":
            picked = [tokens[:, index] for index in places]
            return picked[0] if len(picked) == 1 else (picked[0] + picked[1]) / 2
        if kind == "mean":
            return without(tokens, places).mean(dim=1)
        return tokens[:, -1] if kind == "last" else tokens

    def parts(self) -> NetworkParts | None:
        """Layers, last norm and head; an encoder has no head."""
        if not self.config.n_classes:
            return None
        return NetworkParts(tuple(self.layers), (self.norm_f,), self.head)

    def block_groups(self) -> list[tuple[nn.Module, ...]]:
        """Layers, or both of each pair."""
        if not self.paired:
            return [(layer,) for layer in self.layers]
        return list(zip(self.layers[::2], self.layers[1::2], strict=True))

    def block_tokens(self, outputs: list[Any]) -> Tensor:
        """The residual stream behind a layer, or behind a pair whose second half ran back."""
        streams = [hidden if left is None else hidden + left for hidden, left in outputs]
        both = streams[0] if len(streams) == 1 else streams[0] + streams[1].flip(1)
        return self.patch_tokens(both)

    @property
    def paired(self) -> bool:
        """Whether layers 2i and 2i+1 run on opposite directions."""
        return self.config.layer_pairs

    @property
    def shared_dimensions(self) -> frozenset[Dimension]:
        """The direction too: AuM has one setting for it."""
        return super().shared_dimensions | {"direction"}

    def width_members(self) -> tuple[GroupMember, ...]:
        """Patches, class tokens and positions write the first residual stream."""
        named = dict(self.named_parameters())
        tokens = [GroupMember(name=t, kind="parameter", dim=2) for t in TOKENS if t in named]
        return (GroupMember(name="patch_embed.proj", kind="out"), *tokens)

    def network_groups(self) -> dict[Key, Group]:
        """The backward direction of all layers; without it this is a forward model."""
        if self.config.direction == "fo-fo":
            return {}
        backward = Group(dimension="direction", units=2, minimum=1, fixed=frozenset({0}))
        return {(0, "direction"): backward}

    def resized(
        self, sizes: Sizes, blocks: Sequence[int], directions: Sequence[str]
    ) -> AudioMambaConfig:
        """The config of a pruned AuM; eps belongs to the mean over the unpruned width."""
        config, changes = self.config, block_sizes(sizes, blocks)
        if config.norm == "rms":
            changes["norm_eps"] = config.norm_eps * (config.d_model / changes["d_model"])
        if set(directions) != {"both"}:
            changes["direction"] = "fo-fo"
        return replace(config, **changes)

    @torch.no_grad()
    def keep_forward_arithmetic(self) -> None:
        """A forward model adds its skip once, and halves nothing."""
        for mixer in self.mixers:
            if self.config.direction == "fo-bi":
                mixer.get_parameter("D").mul_(2)
            elif self.config.halve_directions:
                mixer.get_parameter("out_proj.weight").mul_(0.5)

    def _tokens(self, patches: Tensor, grid: Size) -> Tensor:
        """Patches with their positions, in token order, and the class tokens in their places."""
        special = self._class_tokens(patches.shape[0])
        if self.config.position_embedding:
            n = len(special)
            table = resize_positions(self.pos_embed.pos_embed, n, self.grid, grid)
            special = [token + table[:, i : i + 1] for i, token in enumerate(special)]
            patches = patches + table[:, n:]
        if self.config.token_order == "time":
            # (B, rows * columns, D) to (B, columns * rows, D)
            patches = patches.unflatten(1, grid).transpose(1, 2).flatten(1, 2)
        if not special:
            return patches
        if len(special) == 2:
            return torch.cat([special[0], patches, special[1]], dim=1)
        (before,) = class_index(self.config, patches.shape[1])
        return torch.cat([patches[:, :before], special[0], patches[:, before:]], dim=1)

    def _class_tokens(self, batch: int) -> list[Tensor]:
        kind = self.config.class_token
        if kind == "none":
            return []
        if kind == "double":
            return [t.expand(batch, -1, -1) for t in (self.cls_token_head, self.cls_token_tail)]
        return [self.cls_token.expand(batch, -1, -1)]

    def _run(self, hidden: Tensor) -> Tensor:
        """All layers; in pairs, the second of each runs on the reversed sequence."""
        residual: Tensor | None = None
        if not self.config.layer_pairs:
            for layer in self.layers:
                hidden, residual = layer(hidden, residual)
        else:
            for forward, backward in zip(self.layers[::2], self.layers[1::2], strict=True):
                flipped = None if residual is None else residual.flip(1)
                h_f, r_f = forward(hidden, residual)
                h_b, r_b = backward(hidden.flip(1), flipped)
                hidden, residual = h_f + h_b.flip(1), r_f + r_b.flip(1)
        return hidden if residual is None else residual + hidden


def _make_head(kind: str, size: int, n_classes: int) -> nn.Module:
    """AuM's linear head, SSAMBA's norm and linear, or audio-mamba-asc's hidden layer of 512."""
    if kind == "linear":
        return nn.Linear(size, n_classes)
    norm = nn.LayerNorm(size, HEAD_EPS)
    if kind == "norm-linear":
        return nn.Sequential(norm, nn.Linear(size, n_classes))
    return nn.Sequential(
        norm,
        nn.Dropout(DROPOUT),
        nn.Linear(size, HIDDEN),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, n_classes),
    )


def make_norm(config: AudioMambaConfig) -> nn.Module:
    """RMSNorm or LayerNorm over d_model."""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.norm_eps)
    return nn.LayerNorm(config.d_model, config.norm_eps)


def class_index(config: AudioMambaConfig, n_patches: int) -> tuple[int, ...]:
    """Places of the class tokens in the final sequence."""
    places = {
        "none": (),
        "first": (0,),
        "middle": (n_patches // 2,),
        "last": (n_patches,),
        "double": (0, n_patches + 1),
    }
    return places[config.class_token]
