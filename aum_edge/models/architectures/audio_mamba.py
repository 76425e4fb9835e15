"""AuM, the teacher: patches of a spectrogram, class token, Mamba layers, head.

Parameter names and arithmetic follow the published model (arXiv 2406.03344), so that its weights
load unchanged and give its numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.errors import AudioError
from aum_edge.models.architectures.heads import make_head
from aum_edge.models.architectures.resize import Size, resize_patch_kernel, resize_positions
from aum_edge.models.config import AstConfig, AudioMambaConfig
from aum_edge.models.quantized import float_weight
from aum_edge.ssm.layers import RMSNorm
from aum_edge.ssm.mixers.mamba import MambaMixer


class PatchEmbed(nn.Module):
    """Non-padded patch convolution."""

    def __init__(self, config: AudioMambaConfig | AstConfig) -> None:
        super().__init__()
        self.patch_size, self.stride = config.patch_size, config.stride or config.patch_size
        self.proj = nn.Conv2d(1, config.d_model, self.patch_size, self.stride)

    def forward(
        self, x: Tensor, patch_size: Size | None = None, stride: Size | None = None
    ) -> tuple[Tensor, Size]:
        """(B, 1, F, T) to patches (B, P, d_model), frequency-major, and their (freq, time) grid."""
        patch = patch_size or self.patch_size
        if x.shape[2] < patch[0] or x.shape[3] < patch[1]:
            raise AudioError(
                f"A patch of {patch[0]} mels by {patch[1]} frames does not fit into "
                f"{x.shape[2]} by {x.shape[3]}: use longer audio or a smaller patch."
            )
        if patch_size is None and stride is None:
            patches = self.proj(x)
        else:
            kernel = resize_patch_kernel(float_weight(self.proj), patch)
            patches = F.conv2d(x, kernel, self.proj.bias, stride or self.stride)
        return patches.flatten(2).transpose(1, 2), (patches.shape[2], patches.shape[3])


class PositionTable(nn.Module):
    """Learned positions; the first rows belong to the class tokens, the others to the grid."""

    def __init__(self, rows: int, d_model: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, rows, d_model))


class Layer(nn.Module):
    """residual += hidden; hidden = mixer(norm(residual)), the residual in float32 at least."""

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
        hidden = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
        residual = hidden if residual is None else residual + hidden
        return self.mixer(self.norm(residual)), residual


class AudioMamba(nn.Module):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes).

    Features of another length, another patch size or another stride are taken as well: the patch
    kernel and the position table are resized on the way.
    """

    def __init__(self, config: AudioMambaConfig) -> None:
        super().__init__()
        self.config = config
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
            self.head = make_head(config.head, size, config.n_classes)

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

    def _tokens(self, patches: Tensor, grid: Size) -> Tensor:
        """Patches with their positions, in token order, and the class tokens in their places."""
        special = self._class_tokens(patches.shape[0])
        if self.config.position_embedding:
            n = len(special)
            table = resize_positions(self.pos_embed.pos_embed, n, self.grid, grid)
            special = [token + table[:, i : i + 1] for i, token in enumerate(special)]
            patches = patches + table[:, n:]
        if self.config.token_order == "time":
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


def without(tokens: Tensor, places: tuple[int, ...]) -> Tensor:
    """Tokens (B, L, d_model) without those at ``places``, which are in ascending order."""
    starts = [0, *(place + 1 for place in places)]
    ends = [*places, tokens.shape[1]]
    pieces = [tokens[:, a:b] for a, b in zip(starts, ends, strict=True) if a < b]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)


def make_norm(config: AudioMambaConfig) -> nn.Module:
    """RMSNorm or LayerNorm over d_model."""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.norm_eps)
    return nn.LayerNorm(config.d_model, config.norm_eps)


def patch_grid(config: AudioMambaConfig | AstConfig) -> tuple[int, int]:
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
