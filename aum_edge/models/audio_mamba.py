"""AuM, the teacher: patches of a spectrogram, class token, Mamba layers, head.

Parameter names and arithmetic follow the published model (arXiv 2406.03344), so that its weights
load unchanged and give its numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aum_edge.models.config import AudioMambaConfig
from aum_edge.ssm.mixer import MambaMixer
from aum_edge.ssm.norm import RMSNorm


class PatchEmbed(nn.Module):
    """Non-padded patch convolution: (B, 1, F, T) to (B, patches, d_model), frequency-major."""

    def __init__(self, config: AudioMambaConfig) -> None:
        super().__init__()
        stride = config.stride or config.patch_size
        self.proj = nn.Conv2d(1, config.d_model, config.patch_size, stride)
        self.grid = patch_grid(config)

    def forward(self, x: Tensor) -> Tensor:
        """Make patches."""
        return self.proj(x).flatten(2).transpose(1, 2)


class PositionTable(nn.Module):
    """Learned positions; the first rows belong to the class tokens, the others to the grid."""

    def __init__(self, rows: int, d_model: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, rows, d_model))


class Layer(nn.Module):
    """residual += hidden; hidden = mixer(norm(residual)), the residual in float32."""

    def __init__(self, config: AudioMambaConfig, index: int) -> None:
        super().__init__()
        self.norm = make_norm(config)
        self.mixer = MambaMixer(
            config.d_model,
            d_inner=config.block_inner[index],
            d_state=config.block_states[index],
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
        residual = hidden if residual is None else residual + hidden
        return self.mixer(self.norm(residual)), residual


class AudioMamba(nn.Module):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes)."""

    def __init__(self, config: AudioMambaConfig) -> None:
        super().__init__()
        self.config = config
        size = config.d_model
        self.patch_embed = PatchEmbed(config)
        gf, gt = self.patch_embed.grid
        self.n_patches = gf * gt
        if config.class_token == "double":
            self.cls_token_head = nn.Parameter(0.02 * torch.randn(1, 1, size))
            self.cls_token_tail = nn.Parameter(0.02 * torch.randn(1, 1, size))
        elif config.class_token != "none":
            self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, size))
        self.class_index = class_index(config, self.n_patches)
        if config.position_embedding:
            rows = len(self.class_index) + self.n_patches
            self.pos_embed = PositionTable(rows, size)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.depth))
        self.norm_f = make_norm(config)
        self.head = nn.Linear(size, config.n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify."""
        pooled = self.features(x)
        logits = self.head(pooled)
        return logits.amax(dim=1) if pooled.ndim == 3 else logits

    def features(self, x: Tensor) -> Tensor:
        """What enters the head: (B, d_model), or every token (B, L, d_model) with max pooling."""
        tokens = self.norm_f(self._run(self._tokens(x)))
        if self.class_index:
            picked = [tokens[:, index] for index in self.class_index]
            return picked[0] if len(picked) == 1 else (picked[0] + picked[1]) / 2
        if self.config.pooling == "max":
            return tokens
        return tokens.mean(dim=1) if self.config.pooling == "mean" else tokens[:, -1]

    def _tokens(self, x: Tensor) -> Tensor:
        """Patches with their positions, in token order, and the class tokens in their places."""
        patches = self.patch_embed(x)
        special = self._class_tokens(x.shape[0])
        if self.config.position_embedding:
            table = self.pos_embed.pos_embed
            n = len(special)
            special = [token + table[:, i : i + 1] for i, token in enumerate(special)]
            patches = patches + table[:, n:]
        if self.config.token_order == "time":
            patches = patches.unflatten(1, self.patch_embed.grid).transpose(1, 2).flatten(1, 2)
        if not special:
            return patches
        if len(special) == 2:
            return torch.cat([special[0], patches, special[1]], dim=1)
        before = self.class_index[0]
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


def make_norm(config: AudioMambaConfig) -> nn.Module:
    """RMSNorm or LayerNorm over d_model."""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.norm_eps)
    return nn.LayerNorm(config.d_model, config.norm_eps)


def patch_grid(config: AudioMambaConfig) -> tuple[int, int]:
    """Patches along (frequency, time): floor((size - patch) / stride) + 1."""
    stride = config.stride or config.patch_size
    return (
        (config.n_mels - config.patch_size[0]) // stride[0] + 1,
        (config.n_frames - config.patch_size[1]) // stride[1] + 1,
    )


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
