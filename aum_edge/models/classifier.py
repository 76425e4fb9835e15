"""A network with all it needs to be used: front end, normalisation, labels, where it came from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.errors import CheckpointError


class AudioClassifier(nn.Module):
    """Raw log-mel features (B, 1, n_mels, n_frames) to logits (B, n_classes).

    Normalisation is part of the model, so features are never normalised twice or forgotten, in
    torch or in ONNX.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        frontend: FrontEndConfig,
        normalization: Normalization,
        labels: tuple[str, ...],
        lineage: tuple[dict[str, Any], ...] = (),
        quantization: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        config = backbone.config
        shape = (config.n_mels, config.n_frames)
        if shape != (frontend.n_mels, frontend.n_frames):
            raise CheckpointError(
                f"The network takes {shape[0]} mels by {shape[1]} frames, its front end gives "
                f"{frontend.n_mels} by {frontend.n_frames}."
            )
        if config.n_classes != len(labels):
            raise CheckpointError(
                f"The network has {config.n_classes} classes, {len(labels)} labels were given."
            )
        self.backbone = backbone
        self.frontend = frontend
        self.normalization = normalization
        self.labels = tuple(labels)
        self.lineage = tuple(lineage)
        self.quantization = quantization

    def forward(self, features: Tensor) -> Tensor:
        """Normalise and classify."""
        gain = 1 / self.normalization.scale
        return self.backbone((features - self.normalization.mean) * gain)

    def example_input(self, batch: int = 1) -> Tensor:
        """Zeros in the shape of ``batch`` clips' features."""
        return torch.zeros(batch, 1, self.frontend.n_mels, self.frontend.n_frames)

    def with_backbone(
        self,
        backbone: nn.Module,
        step: dict[str, Any],
        quantization: dict[str, Any] | None = None,
    ) -> AudioClassifier:
        """The same classifier around another network; ``step`` joins its lineage."""
        return AudioClassifier(
            backbone,
            frontend=self.frontend,
            normalization=self.normalization,
            labels=self.labels,
            lineage=(*self.lineage, step),
            quantization=quantization,
        ).train(self.training)
