"""The work of the feature cache: decode, front end and write, in parallel and resumable."""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from aum_edge.audio.clip import batch_clips, read_clip
from aum_edge.audio.config import FrontEndConfig
from aum_edge.audio.frontend import front_end
from aum_edge.core.files import new_folder, read_json, require_space, write_json
from aum_edge.core.progress import Progress
from aum_edge.core.text import few
from aum_edge.data.features.npy import ArrayWriter, Stored
from aum_edge.data.manifest import Clip
from aum_edge.data.segments import SILENT_PEAK
from aum_edge.errors import AudioError, DataError

log = logging.getLogger(__name__)
BATCH = 64
KEPT = 16 * BATCH
"""Rows after which a build notes how far it is."""
BUILDERS = min(16, os.cpu_count() or 1)
"""Batches made at once."""
ROWS = "rows.json"


@dataclass(frozen=True)
class Job:
    """One split to be stored: its rows and everything that its key is made of."""

    clips: tuple[Clip, ...]
    frontend: FrontEndConfig
    waveforms: bool
    dtype: Stored
    folder: Path

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array by its name."""
        n, config = len(self.clips), self.frontend
        shapes: dict[str, tuple[int, ...]] = {"features": (n, config.n_mels, config.n_frames)}
        if self.waveforms:
            shapes["waveforms"] = (n, config.clip_samples)
        return shapes


def checksum(path: Path) -> str:
    """SHA-256 of a file; about 1 s per GB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(job: Job, progress: Progress | None) -> None:
    """Write a split's arrays and their index; goes on where a killed build was.

    Raises:
        DataError: Unreadable audio (all of it named at once), a full disk.
    """
    values = sum(math.prod(shape) for shape in job.shapes().values())
    size = np.dtype(job.dtype).itemsize
    require_space(job.folder.parent, size * values, "the feature cache")
    with new_folder(job.folder, "the feature cache", resume=True) as draft:
        done = _done(draft, job)
        writers = {
            name: ArrayWriter(draft / f"{name}.npy", shape, job.dtype, done.rows)
            for name, shape in job.shapes().items()
        }
        for batch in _batches(job, progress, done.rows):
            writers["features"].append(batch.features.numpy())
            if job.waveforms:
                writers["waveforms"].append(batch.waveforms.numpy())
            if done.add(batch) % KEPT == 0:
                for writer in writers.values():
                    writer.sync()
                write_json(draft / ROWS, done.to_dict())
        for writer in writers.values():
            writer.close()
        (draft / ROWS).unlink(missing_ok=True)
        index: dict[str, Any] = {
            "files": {name: checksum(draft / f"{name}.npy") for name in writers}
        }
        if job.frontend.padding != "audio":
            index["lengths"] = done.lengths
        write_json(draft / "index.json", {**index, "silent": done.silent})
    if done.silent:
        log.warning("%d of %d clips are silent and were kept.", done.silent, len(job.clips))


@dataclass
class _Done:
    """Rows of a draft that are safely written, and what the index will say of them."""

    rows: int = 0
    silent: int = 0
    lengths: list[int] = field(default_factory=list)

    def add(self, batch: _Loaded) -> int:
        """Count a batch; rows so far."""
        self.rows += len(batch.features)
        self.silent += int((batch.waveforms.abs().amax(dim=1) < SILENT_PEAK).sum())
        self.lengths += batch.lengths.tolist()
        return self.rows

    def to_dict(self) -> dict[str, Any]:
        """For the draft's record."""
        return {"rows": self.rows, "silent": self.silent, "lengths": self.lengths}


def _done(draft: Path, job: Job) -> _Done:
    """What a killed build of the same split left; nothing if its record or a file is missing."""
    found = read_json(draft / ROWS)
    whole = all((draft / f"{name}.npy").is_file() for name in job.shapes())
    if not found or not whole:
        return _Done()
    log.info("The feature cache goes on after %d of %d clips.", found["rows"], len(job.clips))
    return _Done(found["rows"], found["silent"], found["lengths"])


class _Loaded(NamedTuple):
    """Waveforms (b, clip_samples), samples before padding (b,), features (b, n_mels, n_frames)."""

    waveforms: torch.Tensor
    lengths: torch.Tensor
    features: torch.Tensor


def _batches(job: Job, progress: Progress | None, first: int = 0) -> Iterator[_Loaded]:
    """Rows from ``first`` on in order, a few batches in the making at a time."""
    unreadable: list[str] = []
    starts = iter(range(first, len(job.clips), BATCH))
    with ThreadPoolExecutor(BUILDERS) as pool:
        waiting = [pool.submit(_batch, job, s) for s in islice(starts, BUILDERS + 2)]
        done = first
        while waiting:
            made, broken = waiting.pop(0).result()
            waiting += [pool.submit(_batch, job, s) for s in islice(starts, 1)]
            unreadable += broken
            done = min(done + BATCH, len(job.clips))
            if made is not None and not unreadable:
                yield made
            if progress:
                progress(done, len(job.clips), "clips turned into features")
    if unreadable:
        raise DataError(
            f"{len(unreadable)} of {len(job.clips)} clips cannot be read: {few(unreadable)} "
            "Mend them or take them out of the corpus; `aum-edge data check` lists them all."
        )


@torch.inference_mode()
def _batch(job: Job, start: int) -> tuple[_Loaded | None, list[str]]:
    """One batch, or what is wrong with its files."""
    loaded = [_load(clip, job.frontend) for clip in job.clips[start : start + BATCH]]
    broken = [item for item in loaded if isinstance(item, str)]
    if broken:
        return None, broken
    clips = [item for item in loaded if not isinstance(item, str)]
    batch = batch_clips(clips, job.frontend)
    return _Loaded(*batch, front_end(job.frontend)(*batch)), []


def _load(clip: Clip, config: FrontEndConfig) -> torch.Tensor | str:
    try:
        return read_clip(clip.path, config, clip.start, clip.end)
    except AudioError as error:
        return str(error)
