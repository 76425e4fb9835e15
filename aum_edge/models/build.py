"""Config to network."""

from __future__ import annotations

from torch import nn

from aum_edge.models.audio_mamba import AudioMamba
from aum_edge.models.config import (
    AudioMambaConfig,
    BackboneConfig,
    CPMobileConfig,
    MambaStudentConfig,
)
from aum_edge.models.cp_mobile import CPMobile
from aum_edge.models.mamba_student import MambaStudent

ARCHITECTURES: dict[str, type[BackboneConfig]] = {
    "audio_mamba": AudioMambaConfig,
    "mamba_student": MambaStudentConfig,
    "cp_mobile": CPMobileConfig,
}


def build(config: BackboneConfig) -> nn.Module:
    """A network with fresh weights, in training mode."""
    if isinstance(config, AudioMambaConfig):
        return AudioMamba(config)
    if isinstance(config, MambaStudentConfig):
        return MambaStudent(config)
    return CPMobile(config)


def architecture_of(config: BackboneConfig) -> str:
    """The name that config.json gives this kind of network."""
    return next(name for name, kind in ARCHITECTURES.items() if isinstance(config, kind))
