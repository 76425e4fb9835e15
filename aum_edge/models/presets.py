"""Presets: named sizes of the registered architectures.

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

from dataclasses import fields, replace
from typing import Any

from aum_edge.errors import RecipeError
from aum_edge.models.fields import BackboneConfig
from aum_edge.models.registry import Factory, Role, architectures


def presets(*roles: Role) -> dict[str, Factory]:
    """Presets of all architectures of these roles."""
    known = [kind for role in roles for kind in architectures().values() if kind.role == role]
    return {name: make for kind in known for name, make in kind.presets.items()}


TEACHERS = presets("teacher")
STUDENTS = presets("student")
CONTROLS = presets("control")
PRESETS = TEACHERS | STUDENTS | CONTROLS


def preset(
    name: str, *, n_classes: int, n_mels: int, n_frames: int, **overrides: Any
) -> BackboneConfig:
    """The named architecture for this many classes and features of this shape.

    Args:
        name: A preset of a registered architecture.
        n_classes: Classes.
        n_mels: Mel bands of the features.
        n_frames: Frames of the features.
        **overrides: Fields of the preset's config to set to other values.

    Raises:
        RecipeError: If there is no such preset or field, or a value does not fit.
    """
    known_presets = presets("teacher", "student", "control")
    if name not in known_presets:
        raise RecipeError(f"There is no preset `{name}`; there are {', '.join(known_presets)}.")
    config = known_presets[name](n_classes=n_classes, n_mels=n_mels, n_frames=n_frames)
    known = [field.name for field in fields(config)]
    unknown = sorted(overrides.keys() - set(known))
    if unknown:
        raise RecipeError(
            f"Preset `{name}` has no setting {', '.join(unknown)}; it has {', '.join(known)}."
        )
    return replace(config, **overrides)
