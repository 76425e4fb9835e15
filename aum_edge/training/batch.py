"""Training batches: augmented and mixed features with their targets."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from aum_edge.audio.augment.pipeline import Augment
from aum_edge.audio.frontend import front_end
from aum_edge.data.datamodule import AudioData
from aum_edge.data.sampler import BatchPlan, balanced_weights, read_weights
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import TrainConfig
from aum_edge.training.losses import as_targets


class MixedRows(NamedTuple):
    """Mixup partners (B,), and the share ``lam`` (B,) of the clip itself."""

    partner: Tensor
    lam: Tensor


class TrainBatch(NamedTuple):
    """One batch of training, augmented and mixed."""

    features: Tensor
    """(B, 1, n_mels, n_frames), augmented and mixed, not normalised."""
    targets: Tensor
    """(B, C) class shares, mixed."""
    mixes: list[MixedRows]
    """In the order they were done; the last one mixed features, one before it waveforms."""
    rows: Tensor
    """(B,) rows of the training split."""
    waveform: Tensor | None = None
    """(B, clip_samples), augmented and mixed, where the batch holds waveforms."""
    lengths: Tensor | None = None
    """(B,) samples before padding, where the front end pads by frames."""


class BatchTransform:
    """Augments batches of the data to :class:`TrainBatch` as a training's settings say."""

    def __init__(self, model: AudioClassifier, config: TrainConfig) -> None:
        self.augment = Augment(config.augment, model.frontend, model.normalization.scale)
        self._frontend = model.frontend
        self._classes = len(model.labels)

    @torch.no_grad()
    def __call__(self, batch: dict[str, Tensor], generator: Generator) -> TrainBatch:
        """Augment and mix; every draw comes from ``generator``."""
        targets = as_targets(batch["y"], self._classes)
        augment, mixes, waveform, lengths = self.augment, [], None, batch.get("length")
        if "x" in batch:
            features = batch["x"]
        else:
            waveform = augment.waveform(batch["waveform"], generator)
            mixed = augment.mix_waveforms(waveform, lengths, targets, generator)
            waveform, targets = mixed.waveform, mixed.targets
            mixes.append(MixedRows(mixed.partner, mixed.lam))
            front = front_end(self._frontend, waveform.device)
            features = front(waveform, lengths).unsqueeze(1)
        features = augment.features(features, generator)
        features, targets, partner, lam = augment.mixup(features, targets, generator)
        mixes.append(MixedRows(partner, lam))
        return TrainBatch(features, targets, mixes, batch["index"], waveform, lengths)


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
    return data.derive(
        batch_size=config.batch_size,
        waveforms=waveforms or config.augment.needs_waveforms,
        plan=plan,
    )
