"""Soft targets of a teacher ensemble for each batch, from a cache or computed live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from aum_edge.audio.augment.mixup import mix_rows
from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import FrontEnd
from aum_edge.errors import AumEdgeError
from aum_edge.training.batch import TrainBatch
from aum_edge.training.config import Loss
from aum_edge.training.distillation.cache_file import CacheFile, TeacherOutput, as_stored
from aum_edge.training.distillation.ensemble import EnsembleMember, ensemble_logits
from aum_edge.training.distillation.features import FeatureHooks
from aum_edge.training.distillation.view_cache import ViewCache
from aum_edge.training.loop.memory_format import fastest
from aum_edge.training.losses import soften


class SoftTargets(NamedTuple):
    """Soft targets and teacher tokens of one batch."""

    soft: Tensor
    """(B, C) probabilities at the temperature."""
    tokens: tuple[Tensor, ...]
    """(B, T, D) of the first teacher's matched blocks; none without feature distillation."""


class TargetSource(Protocol):
    """Source of soft targets in a training. It is no part of its checkpoints."""

    rounds: int
    """Epochs after which draws and batches repeat; 0 is never."""

    def start(self, epoch: int, rank: int, world: int) -> None:
        """Begin an epoch, in one of ``world`` processes."""

    def targets_for(self, batch: TrainBatch) -> SoftTargets:
        """Soft targets of a batch; batches of an epoch come in order."""

    def finish(self) -> None:
        """End the epoch."""


class StoredTargets:
    """Targets of the clips as they are; those of mixed clips are mixed as the clips were.

    Args:
        logits: (n, C) for all training clips.
        tokens: The first teacher's, for all training clips.
        temperature: Of the soft targets.
        kind: The student's loss.
    """

    rounds = 0

    def __init__(
        self, logits: Tensor, tokens: CacheFile | None, temperature: float, kind: Loss
    ) -> None:
        self._soft = soften(logits, temperature, kind)
        self._tokens = tokens

    def __deepcopy__(self, memo: object) -> Self:
        """Weight averaging copies the whole task; stored outputs are only read."""
        return self

    def start(self, epoch: int, rank: int, world: int) -> None:
        """Nothing: targets are by row."""

    def targets_for(self, batch: TrainBatch) -> SoftTargets:
        """Look up and mix."""
        rows = batch.rows.cpu()
        found = [self._soft[rows].to(batch.targets)]
        if self._tokens is not None:
            blocks = self._tokens.rows(rows.numpy()).tokens
            found += [block.to(batch.features) for block in blocks]
        for mix in batch.mixes:
            found = [mix_rows(part, *mix) for part in found]
        return SoftTargets(found[0], tuple(found[1:]))

    def finish(self) -> None:
        """Nothing."""


class LiveTargets:
    """Targets computed on what the student gets, mixed and augmented alike.

    Teachers of another front end take the augmented, mixed waveform through their own, and the
    same mixup; what else changes the student's features is not theirs.

    Args:
        members: The teachers.
        frontend: The student's.
        hooks: Where the first one's tokens are taken; None without feature distillation.
        temperature: Of the soft targets.
        kind: The student's loss.
        store: Outputs on the views; with None the teachers run in every epoch.
    """

    def __init__(
        self,
        members: Sequence[EnsembleMember],
        frontend: FrontEndConfig,
        hooks: FeatureHooks | None,
        temperature: float,
        kind: Loss,
        store: ViewCache | None = None,
    ) -> None:
        self._members = members
        self._hooks = hooks
        self._temperature = temperature
        self._kind: Loss = kind
        self._store = store
        own = [member.model.frontend for member in members]
        self._front_ends = [None if one == frontend else FrontEnd(one) for one in own]
        self.rounds = store.views if store else 0
        for member in members:
            member.model.eval().requires_grad_(False)

    def __deepcopy__(self, memo: object) -> Self:
        """Weight averaging copies the whole task; teachers do not change."""
        return self

    def start(self, epoch: int, rank: int, world: int) -> None:
        """Open the epoch's view, stored or to be stored."""
        if self._store:
            self._store.start(epoch, rank, world)

    def targets_for(self, batch: TrainBatch) -> SoftTargets:
        """Soft targets from the store, or computed where this view is not stored."""
        output = self._store.next(batch.rows) if self._store else None
        if output is None:
            output = self._run_teachers(batch)
            if self._store:
                self._store.keep(batch.rows, output)
        soft = soften(output.logits.to(batch.targets), self._temperature, self._kind)
        return SoftTargets(soft, tuple(block.to(batch.features) for block in output.tokens))

    def finish(self) -> None:
        """End the epoch; its view is complete."""
        if self._store:
            self._store.finish()

    @torch.no_grad()
    def _run_teachers(self, batch: TrainBatch) -> TeacherOutput:
        """Outputs of all members; tokens in float16, as the store gives them later."""
        logits: list[Tensor] = []
        tokens: tuple[Tensor, ...] = ()
        for number, member in enumerate(self._members):
            model = member.model.to(batch.features.device)
            features = self._features(number, batch)
            with fastest(model.backbone):
                if number == 0 and self._hooks is not None:
                    with self._hooks.recording() as taken:
                        output = model(features)
                    tokens = tuple(map(as_stored, taken))
                else:
                    output = model(features)
            logits.append(member.read(output.float(), self._kind))
        return TeacherOutput(ensemble_logits(logits, self._members), tokens)

    def _features(self, number: int, batch: TrainBatch) -> Tensor:
        front_end = self._front_ends[number]
        if front_end is None:
            return batch.features
        if batch.waveform is None:
            raise AumEdgeError("Teachers of another front end need batches of waveforms.")
        features = front_end.to(batch.waveform.device)(batch.waveform, batch.lengths).unsqueeze(1)
        return mix_rows(features, *batch.mixes[-1])
