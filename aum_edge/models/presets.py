"""Named architectures. Sizes are for 10 classes at 256 mels by 65 frames unless said otherwise.

==================  ============================================================================
aum-base            AuM as published: d 768, depth 24, Fo-Bi, patches 16x16
aum-small           AuM as published: d 384, depth 24, Bi-Bi
aum-tiny            AuM: d 192, depth 24, Bi-Bi
aum-mini            a teacher that a laptop trains: Bi-Bi, d 96, depth 4, 32 patches a second
student-ssd         94 k weights, SSD, both directions: the default
student-s6          97 k weights, S6, both directions
student-ssd-64k     62 k weights: fits 128,000 bytes in 16 bit
student-ssd-causal  93 k weights, one direction, causal throughout
student-ssd-tiny    16 k weights
cp-mobile           61 k weights, the CNN control as in the DCASE 2025 baseline
==================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aum_edge.errors import RecipeError
from aum_edge.models.config import (
    AudioMambaConfig,
    BackboneConfig,
    CPMobileConfig,
    MambaStudentConfig,
)

Factory = Callable[..., BackboneConfig]


def _mini(n_mels: int, n_frames: int, **sizes: Any) -> AudioMambaConfig:
    """Two frequency bands by about 16 time steps: 32 patches, few enough for a CPU."""
    patch = (max(1, n_mels // 2), max(1, n_frames // 16))
    values = {"d_model": 96, "depth": 4, "d_state": 8, "direction": "bi-bi"} | sizes
    return AudioMambaConfig(n_mels=n_mels, n_frames=n_frames, patch_size=patch, **values)


def _of(kind: Factory, **values: Any) -> Factory:
    return lambda **sizes: kind(**(values | sizes))


PRESETS: dict[str, Factory] = {
    "aum-base": _of(AudioMambaConfig, d_model=768, direction="fo-bi"),
    "aum-small": _of(AudioMambaConfig, d_model=384, direction="bi-bi"),
    "aum-tiny": _of(AudioMambaConfig, d_model=192, direction="bi-bi"),
    "aum-mini": _mini,
    "student-ssd": _of(MambaStudentConfig),
    "student-s6": _of(MambaStudentConfig, mixer="s6", d_state=8),
    "student-ssd-64k": _of(MambaStudentConfig, depth=3, d_state=8, stem_channels=(8, 8)),
    "student-ssd-causal": _of(MambaStudentConfig, bidirectional=False),
    "student-ssd-tiny": _of(
        MambaStudentConfig, d_model=24, depth=2, d_state=8, stem_channels=(4, 8)
    ),
    "cp-mobile": _of(CPMobileConfig),
}


def preset(name: str, *, n_classes: int, n_mels: int, n_frames: int) -> BackboneConfig:
    """The named architecture for this many classes and features of this shape.

    Raises:
        RecipeError: If there is no such preset, or its patches do not fit the features.
    """
    if name not in PRESETS:
        raise RecipeError(f"There is no preset `{name}`; there are {', '.join(PRESETS)}.")
    return PRESETS[name](n_classes=n_classes, n_mels=n_mels, n_frames=n_frames)
