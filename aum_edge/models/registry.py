"""Config to network."""

from __future__ import annotations

from aum_edge.models.architectures.ast import AudioSpectrogramTransformer
from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.architectures.cp_mobile import CPMobile
from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.models.architectures.masked_patch import MaskedPatchConfig, MaskedPatchModel
from aum_edge.models.config import (
    AstConfig,
    AudioMambaConfig,
    BackboneConfig,
    CPMobileConfig,
    MambaStudentConfig,
)

Backbone = AudioMamba | MaskedPatchModel | AudioSpectrogramTransformer | MambaStudent | CPMobile
ARCHITECTURES: dict[str, type[BackboneConfig]] = {
    "audio_mamba": AudioMambaConfig,
    "masked_patch": MaskedPatchConfig,
    "ast": AstConfig,
    "mamba_student": MambaStudentConfig,
    "cp_mobile": CPMobileConfig,
}


def build(config: BackboneConfig) -> Backbone:
    """A network with fresh weights, in training mode."""
    if isinstance(config, MaskedPatchConfig):
        return MaskedPatchModel(config)
    if isinstance(config, AudioMambaConfig):
        return AudioMamba(config)
    if isinstance(config, AstConfig):
        return AudioSpectrogramTransformer(config)
    if isinstance(config, MambaStudentConfig):
        return MambaStudent(config)
    return CPMobile(config)


def architecture_of(config: BackboneConfig) -> str:
    """The name that config.json gives this kind of network."""
    return next(name for name, kind in ARCHITECTURES.items() if type(config) is kind)
