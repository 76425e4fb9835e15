"""Small networks of every kind, for the tones or for other classes."""

from __future__ import annotations

import torch

from aum_edge.audio.config import Normalization
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AstConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build
from tests.small_run import FRONTEND, LABELS


def cnn(labels: tuple[str, ...] = LABELS, seed: int = 0, **fields) -> AudioClassifier:
    """A CP-Mobile of these classes."""
    return classifier(CPMobileConfig(base_channels=8, **_sizes(labels)), labels, seed, **fields)


def ast(seed: int = 0, **fields) -> AudioClassifier:
    """A transformer with class tokens and frequency-time patches."""
    values = {"patch_size": (8, 8), "d_model": 16, "n_heads": 2, "depth": 3} | fields
    return classifier(AstConfig(**values, **_sizes(LABELS)), LABELS, seed)


def classifier(
    config: BackboneConfig, labels: tuple[str, ...], seed: int = 0, **fields
) -> AudioClassifier:
    torch.manual_seed(seed)
    values = {"frontend": FRONTEND, "normalization": Normalization(mean=-2.0, std=3.0)} | fields
    return AudioClassifier(build(config), labels=labels, **values)


def _sizes(labels: tuple[str, ...]) -> dict[str, int]:
    return {"n_classes": len(labels), "n_mels": FRONTEND.n_mels, "n_frames": FRONTEND.n_frames}
