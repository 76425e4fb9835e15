"""Small models and front ends that fit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import AudioMambaConfig, CPMobileConfig
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig

SMALL: dict[str, BackboneConfig] = {
    "audio_mamba": AudioMambaConfig(
        n_classes=3,
        n_mels=16,
        n_frames=12,
        patch_size=(8, 4),
        d_model=16,
        depth=2,
        d_state=4,
        direction="bi-bi",
    ),
    "student_ssd": MambaStudentConfig(
        n_classes=3,
        n_mels=16,
        n_frames=12,
        d_model=8,
        depth=2,
        d_state=4,
        head_dim=4,
        stem_channels=(2, 4),
    ),
    "student_s6": MambaStudentConfig(
        n_classes=3,
        n_mels=16,
        n_frames=12,
        mixer="s6",
        d_model=8,
        depth=2,
        d_state=4,
        stem_channels=(2, 4),
    ),
    "cp_mobile": CPMobileConfig(n_classes=3, n_mels=16, n_frames=12, base_channels=8),
}


def small_frontend(n_mels: int, n_frames: int) -> FrontEndConfig:
    return FrontEndConfig(
        sample_rate=1000,
        n_fft=64,
        win_length=64,
        hop_length=10,
        n_mels=n_mels,
        clip_seconds=(n_frames - 1) / 100,
    )


def trained_classifier(config: BackboneConfig, **values: Any) -> AudioClassifier:
    """A classifier whose batch norms have seen data and whose weights are all random."""
    torch.manual_seed(5)
    backbone = build(config)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    for _ in range(3):
        backbone(1 + torch.randn(4, 1, config.n_mels, config.n_frames))
    settings = {
        "frontend": small_frontend(config.n_mels, config.n_frames),
        "normalization": Normalization(mean=-3.5, std=2.0),
        "labels": tuple(f"class {i}" for i in range(config.n_classes)),
    }
    return AudioClassifier(backbone, **(settings | values)).eval()


@pytest.fixture
def classifier() -> Callable[..., AudioClassifier]:
    return trained_classifier


@pytest.fixture
def frontend() -> Callable[[int, int], FrontEndConfig]:
    return small_frontend


@pytest.fixture
def small_configs() -> dict[str, BackboneConfig]:
    return SMALL


@pytest.fixture(params=list(SMALL))
def small(request: pytest.FixtureRequest) -> AudioClassifier:
    """One classifier of each architecture and mixer."""
    return trained_classifier(SMALL[request.param])
