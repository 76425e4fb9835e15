"""What teachers say to each batch of a training, from stored answers or by listening along."""

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
    """What the student learns from in one step."""

    soft: Tensor
    """(B, C) probabilities at the temperature."""
    tokens: tuple[Tensor, ...]
    """(B, T, D) of the first teacher's matched blocks; none without feature distillation."""


class TargetSource(Protocol):
    """Teachers in a training. They are no part of its checkpoints."""

    rounds: int
    """Epochs after which draws and batches repeat; 0 is never."""

    def start(self, epoch: int, rank: int, world: int) -> None:
        """An epoch begins, in one of so many processes."""

    def teach(self, heard: TrainBatch) -> SoftTargets:
        """Answers to a batch; those of an epoch come in order."""

    def finish(self) -> None:
        """The epoch is over."""


class StoredTargets:
    """Answers to the clips as they are; those to mixed clips are mixed as the clips were.

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
        """Weight averaging copies the whole task; answers are only read."""
        return self

    def start(self, epoch: int, rank: int, world: int) -> None:
        """Nothing: answers are by row."""

    def teach(self, heard: TrainBatch) -> SoftTargets:
        """Look up and mix."""
        rows = heard.rows.cpu()
        found = [self._soft[rows].to(heard.targets)]
        if self._tokens is not None:
            blocks = self._tokens.rows(rows.numpy()).tokens
            found += [block.to(heard.features) for block in blocks]
        for mix in heard.mixes:
            found = [mix_rows(part, *mix) for part in found]
        return SoftTargets(found[0], tuple(found[1:]))

    def finish(self) -> None:
        """Nothing."""


class LiveTargets:
    """Teachers that hear what the student hears, mixed and augmented alike.

    Teachers of another front end hear the augmented, mixed waveform through their own, and the
    same mixup; what else changes the student's features is not theirs.

    Args:
        members: The teachers.
        frontend: The student's.
        tap: Where the first one's tokens are taken; None without feature distillation.
        temperature: Of the soft targets.
        kind: The student's loss.
        store: Answers of the views; None asks the teachers in every epoch.
    """

    def __init__(
        self,
        members: Sequence[EnsembleMember],
        frontend: FrontEndConfig,
        tap: FeatureHooks | None,
        temperature: float,
        kind: Loss,
        store: ViewCache | None = None,
    ) -> None:
        self._members = members
        self._tap = tap
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

    def teach(self, heard: TrainBatch) -> SoftTargets:
        """Answer, from the store where this view has been heard before."""
        answer = self._store.next(heard.rows) if self._store else None
        if answer is None:
            answer = self._ask(heard)
            if self._store:
                self._store.keep(heard.rows, answer)
        soft = soften(answer.logits.to(heard.targets), self._temperature, self._kind)
        return SoftTargets(soft, tuple(block.to(heard.features) for block in answer.tokens))

    def finish(self) -> None:
        """The view is complete."""
        if self._store:
            self._store.finish()

    @torch.no_grad()
    def _ask(self, heard: TrainBatch) -> TeacherOutput:
        """All members; tokens in float16, so that they are what the store gives later."""
        logits: list[Tensor] = []
        tokens: tuple[Tensor, ...] = ()
        for number, member in enumerate(self._members):
            model = member.model.to(heard.features.device)
            features = self._features(number, heard)
            with fastest(model.backbone):
                if number == 0 and self._tap is not None:
                    with self._tap.listening() as taken:
                        answer = model(features)
                    tokens = tuple(map(as_stored, taken))
                else:
                    answer = model(features)
            logits.append(member.read(answer.float(), self._kind))
        return TeacherOutput(ensemble_logits(logits, self._members), tokens)

    def _features(self, number: int, heard: TrainBatch) -> Tensor:
        front_end = self._front_ends[number]
        if front_end is None:
            return heard.features
        if heard.waveform is None:
            raise AumEdgeError("Teachers of another front end need batches of waveforms.")
        features = front_end.to(heard.waveform.device)(heard.waveform, heard.lengths).unsqueeze(1)
        return mix_rows(features, *heard.mixes[-1])
