"""Parts of a classifier that a model directory stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.models.architectures.base import Backbone


class ModelParts(Protocol):
    """An ``AudioClassifier``, or anything else with these parts."""

    @property
    def backbone(self) -> Backbone:
        """The network with its weights."""

    @property
    def frontend(self) -> FrontEndConfig:
        """How audio becomes features."""

    @property
    def normalization(self) -> Normalization:
        """Of the features."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""

    @property
    def lineage(self) -> tuple[dict[str, Any], ...]:
        """What was done to the model, oldest first."""

    @property
    def quantization(self) -> dict[str, Any] | None:
        """Which tensors are stored how; ``None`` for a float model."""

    @property
    def activation(self) -> str:
        """Softmax or sigmoid."""


@dataclass(frozen=True, kw_only=True)
class ReadParts:
    """Parts as they were read, the weights in their places."""

    backbone: Backbone
    frontend: FrontEndConfig
    normalization: Normalization
    labels: tuple[str, ...]
    lineage: tuple[dict[str, Any], ...]
    quantization: dict[str, Any] | None
    activation: str
