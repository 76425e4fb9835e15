"""The second stage of the challenge's recipe: one model for each recording device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.core.validation import at_least, one_of
from aum_edge.errors import RecipeError
from aum_edge.training.config import ScheduleConfig, TrainConfig

ALL = "all"


def _fine_tuning() -> TrainConfig:
    """As the DCASE 2025 baseline fine-tunes: all weights, a tenth of the rate, no MixStyle."""
    return TrainConfig(
        epochs=50,
        lr=5e-4,
        weight_decay=1e-4,
        keep="last",
        schedule=ScheduleConfig(warmup_steps=200),
        augment=AugmentConfig(mixstyle_p=0.0),
    )


@dataclass(frozen=True, kw_only=True)
class DevicesConfig:
    """Fine-tune the general model on each device's clips; unknown devices keep the general one.

    It starts from the pruned float model and every result is rounded as the general one is: all
    device models have the general one's architecture and format, and so its MACs and bytes, which
    the challenge's limits ask of each by itself.
    """

    names: tuple[str, ...] = ()
    """Devices; ``[all]`` is every device of the training split; empty leaves the stage out."""
    train: TrainConfig = _fine_tuning()
    """How each device's model is fine-tuned."""
    distill: bool = False
    """Also distill the run's teachers, by their stored logits of the device's clips."""
    choose: Literal["better", "tuned"] = "better"
    """better: a device keeps the general model where fine-tuning did not pay on the device's
    validation clips (macro accuracy, then log loss); tuned: it never does."""
    min_clips: int = 20
    """A device with fewer training clips keeps the general model."""
    control: bool = False
    """Fine-tune the CNN control in the same way, to be held against."""

    def __post_init__(self) -> None:
        one_of("devices.choose", self.choose, ("better", "tuned"))
        at_least("devices.min_clips", self.min_clips, 2)
        if len(set(self.names)) < len(self.names) or (ALL in self.names and len(self.names) > 1):
            raise RecipeError(
                f"`devices.names` holds each device once, or `all` alone; got {list(self.names)}."
            )
