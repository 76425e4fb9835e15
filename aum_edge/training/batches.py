"""The training batches that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from aum_edge.data.balance import balanced_weights, read_weights
from aum_edge.data.datamodule import AudioData
from aum_edge.data.order import BatchPlan
from aum_edge.training.config import TrainConfig


def with_batches_of(data: AudioData, config: TrainConfig) -> AudioData:
    """The same corpus with this training's batch sizes, weights and waveforms.

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
    return data.with_batches(config.batch_size, config.augment.needs_waveforms, plan)
