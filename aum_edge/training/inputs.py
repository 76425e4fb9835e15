"""What the networks hear in one step of training: augmented features, and how they came about."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from aum_edge.audio.augment import Augment
from aum_edge.audio.frontend import FrontEnd
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import TrainConfig
from aum_edge.training.losses import as_targets


class Mix(NamedTuple):
    """Who was mixed with whom: partners (B,), and the share (B,) of the clip itself."""

    partner: Tensor
    lam: Tensor


class Heard(NamedTuple):
    """One batch as the student hears it."""

    features: Tensor
    """(B, 1, n_mels, n_frames), augmented and mixed, not normalised."""
    targets: Tensor
    """(B, C) class shares, mixed."""
    mixes: list[Mix]
    """In the order they were done; the last one mixed features, one before it waveforms."""
    rows: Tensor
    """(B,) rows of the training split."""
    waveform: Tensor | None = None
    """(B, clip_samples), augmented and mixed, where the batch holds waveforms."""
    lengths: Tensor | None = None
    """(B,) samples before padding, where the front end pads by frames."""


class Inputs:
    """Turns batches of the data into :class:`Heard` as a training's settings say."""

    def __init__(self, model: AudioClassifier, config: TrainConfig) -> None:
        self.augment = Augment(config.augment, model.frontend, model.normalization.scale)
        self._front_end = FrontEnd(model.frontend)
        self._classes = len(model.labels)

    @torch.no_grad()
    def __call__(self, batch: dict[str, Tensor], generator: Generator) -> Heard:
        """Augment and mix; every draw comes from ``generator``."""
        targets = as_targets(batch["y"], self._classes)
        augment, mixes, waveform, lengths = self.augment, [], None, batch.get("length")
        if "x" in batch:
            features = batch["x"]
        else:
            waveform = augment.waveform(batch["waveform"], generator)
            mixed = augment.mix_waveforms(waveform, lengths, targets, generator)
            waveform, targets = mixed.waveform, mixed.targets
            mixes.append(Mix(mixed.partner, mixed.lam))
            self._front_end = self._front_end.to(waveform.device)
            features = self._front_end(waveform, lengths).unsqueeze(1)
        features = augment.features(features, generator)
        features, targets, partner, lam = augment.mixup(features, targets, generator)
        mixes.append(Mix(partner, lam))
        return Heard(features, targets, mixes, batch["index"], waveform, lengths)
