"""Named architectures.

Parameters are for 10 classes at 256 mels by 65 frames, a 1 s clip of the DCASE front end. The
students fold all frequencies into channels, so each has ``stem_channels[1] * d_model`` weights
more for every 8 mels.

==================  =========  ===================================================================
aum-base            91.4 M     AuM as published: d 768, depth 24, Fo-Bi, patches 16x16
aum-small           25.2 M     AuM as published: d 384, depth 24, Bi-Bi
aum-tiny            6.8 M      AuM: d 192, depth 24, Bi-Bi
aum-mini            0.57 M     a teacher that a laptop trains: Bi-Bi, d 128, depth 4, 56 patches
ast-base            85.4 M     AST as published: d 768, depth 12, 2 class tokens, stride 10
ast-small           21.4 M     AST: d 384, 6 heads, otherwise as ast-base
ast-tiny            5.4 M      AST: d 192, 3 heads, otherwise as ast-base
ast-mini            0.87 M     an AST that a laptop trains: d 128, depth 4, the patches of aum-mini
student-ssd         94,122     SSD, both directions; 128,000 bytes in int8: the default
student-s6          97,074     S6, both directions; 128,000 bytes in int8
student-ssd-64k     61,684     SSD; 128,000 bytes in 16 bit
student-ssd-causal  92,922     student-ssd in one direction, causal throughout
student-ssd-tiny    15,788     SSD; 16,000 weights
student-noscan      94,122     student-ssd without its scan, as many weights: what is it worth?
cp-mobile           61,148     the CNN control of the DCASE 2024 and 2025 baselines
==================  =========  ===================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from aum_edge.errors import RecipeError
from aum_edge.models.config import (
    AstConfig,
    AudioMambaConfig,
    BackboneConfig,
    CPMobileConfig,
    MambaStudentConfig,
)

Factory = Callable[..., BackboneConfig]
"""Called with ``n_classes``, ``n_mels`` and ``n_frames``."""


def _mini(*, n_classes: int, n_mels: int, n_frames: int) -> AudioMambaConfig:
    """Eight frequency bands by time steps of an eighth, half overlapping: 56 patches.

    Patches over half of the mels and a sixteenth of the time (32 of them) train in half the time
    and were 10 to 17 points less accurate on the built-in scenes.
    """
    return AudioMambaConfig(
        n_classes=n_classes,
        n_mels=n_mels,
        n_frames=n_frames,
        patch_size=(max(1, n_mels // 8), max(1, n_frames // 4)),
        stride=(max(1, n_mels // 8), max(1, n_frames // 8)),
        d_model=128,
        depth=4,
        d_state=8,
        direction="bi-bi",
    )


def _ast_mini(*, n_classes: int, n_mels: int, n_frames: int) -> AstConfig:
    """The patches and the width of ``aum-mini`` under attention."""
    like = _mini(n_classes=n_classes, n_mels=n_mels, n_frames=n_frames)
    return AstConfig(
        n_classes=n_classes,
        n_mels=n_mels,
        n_frames=n_frames,
        patch_size=like.patch_size,
        stride=like.stride,
        d_model=like.d_model,
        depth=like.depth,
        n_heads=4,
    )


def _of(kind: Factory, **values: Any) -> Factory:
    return lambda **sizes: kind(**values, **sizes)


TEACHERS: dict[str, Factory] = {
    "aum-base": _of(AudioMambaConfig, d_model=768, direction="fo-bi"),
    "aum-small": _of(AudioMambaConfig, d_model=384, direction="bi-bi"),
    "aum-tiny": _of(AudioMambaConfig, d_model=192, direction="bi-bi"),
    "aum-mini": _mini,
    "ast-base": _of(AstConfig, d_model=768, n_heads=12, stride=(10, 10)),
    "ast-small": _of(AstConfig, d_model=384, n_heads=6, stride=(10, 10)),
    "ast-tiny": _of(AstConfig, d_model=192, n_heads=3, stride=(10, 10)),
    "ast-mini": _ast_mini,
}
STUDENTS: dict[str, Factory] = {
    "student-ssd": _of(MambaStudentConfig),
    "student-s6": _of(MambaStudentConfig, mixer="s6", d_state=8),
    "student-ssd-64k": _of(MambaStudentConfig, depth=3, d_state=8, stem_channels=(8, 8)),
    "student-ssd-causal": _of(MambaStudentConfig, bidirectional=False),
    "student-noscan": _of(MambaStudentConfig, mixer="none", d_conv=7, inner=(110, 110, 110, 110)),
    "student-ssd-tiny": _of(
        MambaStudentConfig, d_model=24, depth=2, d_state=8, stem_channels=(4, 8)
    ),
}
CONTROLS: dict[str, Factory] = {"cp-mobile": _of(CPMobileConfig)}
PRESETS: dict[str, Factory] = TEACHERS | STUDENTS | CONTROLS


def preset(
    name: str, *, n_classes: int, n_mels: int, n_frames: int, **overrides: Any
) -> BackboneConfig:
    """The named architecture for this many classes and features of this shape.

    Args:
        name: One of ``PRESETS``.
        n_classes: Classes.
        n_mels: Mel bands of the features.
        n_frames: Frames of the features.
        **overrides: Fields of the preset's config to set to other values.

    Raises:
        RecipeError: If there is no such preset or field, or a value does not fit.
    """
    if name not in PRESETS:
        raise RecipeError(f"There is no preset `{name}`; there are {', '.join(PRESETS)}.")
    config = PRESETS[name](n_classes=n_classes, n_mels=n_mels, n_frames=n_frames)
    known = [field.name for field in fields(config)]
    unknown = sorted(overrides.keys() - set(known))
    if unknown:
        raise RecipeError(
            f"Preset `{name}` has no setting {', '.join(unknown)}; it has {', '.join(known)}."
        )
    return replace(config, **overrides)
