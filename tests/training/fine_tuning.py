"""Short trainings without augmentation, and what they end with."""

from __future__ import annotations

import torch

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.training.config import TrainConfig

PLAIN = AugmentConfig(roll_seconds=0.0, mixstyle_p=0.0)


def settings(**fields) -> TrainConfig:
    return TrainConfig(**({"epochs": 2, "batch_size": 12, "augment": PLAIN} | fields))


def weights(model) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in model.state_dict().values()])
