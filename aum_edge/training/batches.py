"""The training batches that the settings ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aum_edge.data.balance import balanced_weights, read_weights
from aum_edge.data.datamodule import AudioData
from aum_edge.data.order import BatchPlan, Place
from aum_edge.training.config import TrainConfig


class RepeatedAudio(AudioData):
    """The same corpus, whose epochs' orders come again after so many."""

    rounds: int

    def _place(self) -> Place:
        place = super()._place()
        return replace(place, epoch=place.epoch % self.rounds)


def with_batches_of(data: AudioData, config: TrainConfig, waveforms: bool = False) -> AudioData:
    """The same corpus with this training's batch sizes, weights and waveforms.

    ``waveforms`` asks for them where the augmentation does not.

    Raises:
        DataError: If the weight file does not fit the training rows.
    """
    data.setup()
    settings, rows, weights = config.batches, data.arrays["train"], None
    if settings.sampling == "balanced":
        weights = balanced_weights(rows)
    elif settings.weight_file:
        weights = read_weights(Path(settings.weight_file), len(rows))
    plan = BatchPlan(size_by_epoch=settings.size_by_epoch, weights=weights)
    return data.with_batches(config.batch_size, waveforms or config.augment.needs_waveforms, plan)


def in_rounds(data: AudioData, rounds: int) -> AudioData:
    """The same data whose epoch e has the batches of epoch e modulo ``rounds``; 0 is never."""
    if not rounds:
        return data
    other = RepeatedAudio(
        data.config,
        data.frontend,
        cache_dir=data.cache_dir,
        batch_size=data.batch_size,
        seed=data.seed,
        waveforms=data.waveforms,
        progress=data.progress,
    )
    other.manifest, other.arrays, other.plan = data.manifest, data.arrays, data.plan
    other.normalization, other.fingerprint = data.normalization, data.fingerprint
    other.rounds = rounds
    return other
