"""Small networks saved as the published projects save theirs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from aum_edge.models.architectures.audio_mamba import AudioMamba
from aum_edge.models.config import AudioMambaConfig

AUM = AudioMambaConfig(n_classes=5, n_mels=128, n_frames=64, d_model=16, depth=2, direction="bi-bi")
FLAGS = {"audio_length": 64, "n_class": 5, "fstride": 16, "tstride": 16, "aum_type": "Bi-Bi"}


def network(config: AudioMambaConfig = AUM, seed: int = 0) -> AudioMamba:
    torch.manual_seed(seed)
    made = AudioMamba(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


def weights(config: AudioMambaConfig = AUM, seed: int = 0) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network(config, seed).state_dict().items()}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path
