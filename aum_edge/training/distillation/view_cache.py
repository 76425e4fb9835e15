"""Cache of teacher outputs on augmented clips, filled in the first epoch of a view."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from torch import Tensor

from aum_edge.audio.augment.pipeline import Augment
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import AumEdgeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.cache_file import (
    CacheFile,
    CacheWriter,
    TeacherOutput,
    open_cache_file,
)
from aum_edge.training.distillation.ensemble import EnsembleMember
from aum_edge.training.distillation.teacher_logits import teacher_key

_WRITERS: WeakValueDictionary[tuple[Path, int], CacheWriter] = WeakValueDictionary()
"""Writers by folder and thread: a traceback keeps those of a stopped training alive."""


class ViewCache:
    """One file of teacher outputs a view, in the order of its batches.

    Epoch e is view e modulo ``views``. A view that has no file yet is written along with the
    epoch that uses it first and appears when that epoch is over, so a killed run runs the
    teachers again and gets the same outputs.

    Args:
        root: Folders begin with this path; its name says what the outputs depend on.
        views: How many there are.
    """

    def __init__(self, root: Path, views: int) -> None:
        self.views = views
        self._root = root
        self._opened: dict[Path, CacheFile] = {}
        self._file: CacheFile | None = None
        self._writer: CacheWriter | None = None
        self._at = 0

    def start(self, epoch: int, rank: int, world: int) -> None:
        """Open the epoch's view; each of several processes keeps its own part."""
        folder = self._root.with_name(f"{self._root.name}-{epoch % self.views}-{rank}of{world}")
        self._at, self._writer = 0, None
        self._file = self._opened.get(folder) or open_cache_file(folder)
        if self._file is not None:
            self._opened[folder] = self._file
            return
        # Where another training writes the same view, this one runs the teachers for itself.
        with suppress(BlockingIOError):
            self._writer = _new_writer(folder)

    def next(self, index: Tensor) -> TeacherOutput | None:
        """The outputs for the next batch, of these rows; None where none are stored.

        Raises:
            AumEdgeError: If the file is about other batches.
        """
        if self._file is None:
            return None
        rows = slice(self._at, self._at + len(index))
        if self._file.index[rows].tolist() != index.tolist():
            raise AumEdgeError(
                f"Stored answers {self._root.name} are about other batches than this training's: "
                f"delete {self._root.name}-* in {self._root.parent}."
            )
        self._at = rows.stop
        return self._file.rows(rows)

    def keep(self, index: Tensor, output: TeacherOutput) -> None:
        """Append the teachers' outputs for a batch."""
        if self._writer:
            self._writer.append(index.cpu().numpy(), output)

    def finish(self) -> None:
        """End of the epoch: the view is complete."""
        if self._writer:
            self._writer.close()
            self._writer = None


def _new_writer(folder: Path) -> CacheWriter:
    """A writer of the folder, in the place of one that a stopped training of this thread left."""
    place = (folder, threading.get_ident())
    left = _WRITERS.get(place)
    if left is not None:
        left.discard()
    _WRITERS[place] = writer = CacheWriter(folder, wait=False)
    return writer


def view_key(
    model: AudioClassifier,
    data: AudioData,
    config: TrainConfig,
    seed: int,
    members: Sequence[EnsembleMember],
    blocks: Sequence[int],
) -> str:
    """Hash of all that the views of a training, and the outputs on them, depend on."""
    weights = data.plan.weights
    responses = Augment(config.augment, model.frontend).responses
    parts = [
        "views 1", data.fingerprint, data.seed, seed, config.batch_size, config.augment,
        config.loss, config.precision, model.frontend, model.normalization.scale, list(blocks),
        [(teacher_key(m.model), m.model.activation, m.columns, m.share) for m in members],
    ]  # fmt: skip
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(b"" if weights is None else weights.tobytes())
    digest.update(b"" if responses is None else responses.numpy().tobytes())
    return digest.hexdigest()[:32]
