"""Masked-patch pretraining network of SSAMBA: an AuM encoder with two predictors.

Parameter names and arithmetic follow the published model (arXiv 2405.11831), so that its
checkpoints load and go on from where they stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.errors import RecipeError
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.architectures.patches import without
from aum_edge.models.config import AudioMambaConfig
from aum_edge.models.registry import register_architecture


@dataclass(frozen=True, kw_only=True)
class MaskedPatchConfig(AudioMambaConfig):
    """An AuM without a head, and the two predictors that pretraining puts in its place.

    Patches do not overlap: each is the target of one prediction.
    """

    n_classes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_classes:
            raise RecipeError(
                f"A masked-patch model has no classes: `n_classes` must be 0, got {self.n_classes}."
            )
        if self.stride not in (None, self.patch_size):
            raise RecipeError(
                f"Masked patches must not overlap: leave `stride` out or give the patch size "
                f"{self.patch_size}, got {self.stride}. Fine-tuning may take another one."
            )

    @property
    def encoder(self) -> AudioMambaConfig:
        """The same network without the predictors."""
        return AudioMambaConfig(
            **{field.name: getattr(self, field.name) for field in fields(AudioMambaConfig)}
        )


def masked_patch_config(encoder: AudioMambaConfig) -> MaskedPatchConfig:
    """The pretraining network of an AuM; its classes and its overlap are left out."""
    values = {field.name: getattr(encoder, field.name) for field in fields(AudioMambaConfig)}
    return MaskedPatchConfig(**values | {"n_classes": 0, "stride": None})


@register_architecture("masked_patch", MaskedPatchConfig, role="teacher")
class MaskedPatchModel(Backbone):
    """Encoder, mask embedding and predictors; called as a network it is its encoder.

    Shape:
        (B, 1, n_mels, n_frames) to what the encoder's head would see, (B, d_model).
    """

    def __init__(self, config: MaskedPatchConfig) -> None:
        super().__init__()
        self.config: MaskedPatchConfig = config
        self.encoder = AudioMamba(config.encoder)
        self.mask_embed = nn.Parameter(torch.zeros(1, 1, config.d_model))
        nn.init.xavier_normal_(self.mask_embed)
        self.cpredlayer = self._predictor()
        self.gpredlayer = self._predictor()

    def forward(self, x: Tensor) -> Tensor:
        """The pooled embedding of clips without masks."""
        embedding: Tensor = self.encoder(x)
        return embedding

    def masked_tokens(self, x: Tensor, masked: Tensor) -> Tensor:
        """Encoder outputs (B, M, d_model) at masked patches, for the predictors.

        ``masked`` (B, M) counts patches in frequency-major order, whatever order the tokens have;
        those of a clip differ.
        """
        patches = self.encoder.embed(x)
        hidden = torch.zeros(patches.shape[:2], dtype=torch.bool, device=x.device)
        hidden = hidden.scatter(1, masked, True).unsqueeze(2)
        patches = torch.where(hidden, self.mask_embed.to(patches.dtype), patches)
        tokens = without(self.encoder.encode(patches), self.encoder.class_index)
        return _picked(tokens, self._places(masked))

    def masked_patches(self, x: Tensor, masked: Tensor) -> Tensor:
        """The patches themselves, (B, M, patch area), each frequency-major."""
        size = self.config.patch_size
        return _picked(F.unfold(x, size, stride=size).transpose(1, 2), masked)

    def _places(self, masked: Tensor) -> Tensor:
        """Indices of the patches among the tokens, class tokens left out."""
        if self.config.token_order == "frequency":
            return masked
        rows, columns = self.encoder.grid
        return masked % columns * rows + masked // columns

    def _predictor(self) -> nn.Sequential:
        size = self.config.d_model
        area = self.config.patch_size[0] * self.config.patch_size[1]
        return nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, area))


def _picked(rows: Tensor, index: Tensor) -> Tensor:
    """Rows (B, P, D) at ``index`` (B, M)."""
    return rows.gather(1, index.unsqueeze(2).expand(-1, -1, rows.shape[2]))
