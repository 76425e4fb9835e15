"""A corpus for Lightning: cached features in batches whose order a seed and the epoch decide."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.core.progress import Progress
from aum_edge.data.config import Corpus, DataConfig
from aum_edge.data.corpora.registry import load_manifest
from aum_edge.data.features.cache import ClipArrays, build_cache, normalization
from aum_edge.data.features.npy import Stored
from aum_edge.data.features.stream import stream_splits
from aum_edge.data.manifest import Manifest, validate
from aum_edge.data.sampler import BatchPlan, EpochSampler, ProcessGroupPosition, Rows
from aum_edge.data.segments import WORKERS
from aum_edge.errors import DataError, RecipeError

Batch = dict[str, Tensor]
CACHE = Path("runs/cache")
"""Where features are kept when no folder is named."""


class BatchRows(Dataset[Batch]):
    """Whole batches by their row numbers: one indexing of the arrays, nothing per clip."""

    def __init__(self, arrays: ClipArrays, waveforms: bool) -> None:
        self._arrays = arrays
        self._waveforms = waveforms

    def __getitem__(self, rows: Rows) -> Batch:
        arrays = self._arrays
        truth = arrays.labels if arrays.targets is None else arrays.targets
        batch = {"y": torch.from_numpy(truth[rows]), "index": torch.from_numpy(rows)}
        if self._waveforms:
            waveforms, lengths = arrays.waveform_rows(rows)
            batch["waveform"] = torch.from_numpy(waveforms)
            if lengths is not None:
                batch["length"] = torch.from_numpy(lengths)
        else:
            batch["x"] = torch.from_numpy(arrays.features[rows]).unsqueeze(1)
        return batch


class AudioData(L.LightningDataModule):
    """Reads a corpus, caches its features and serves ``{"x" | "waveform", "y", "index"}``.

    ``x`` is (B, 1, n_mels, n_frames) float32, not normalised; ``waveform`` (B, clip_samples) takes
    its place in training alone and if ``waveforms`` is set, with ``length`` (B,) int64, its samples
    before padding, where the front end pads by frames; ``index`` (the row in the split) is (B,)
    int64, and so is ``y``, or (B, C) float32 where clips have several labels. After
    :meth:`setup`: ``manifest``, ``labels``, ``arrays`` by split, ``normalization`` as configured
    or of the training split, and ``fingerprint`` of corpus and front end.
    """

    manifest: Manifest
    arrays: dict[str, ClipArrays]
    normalization: Normalization
    fingerprint: str

    def __init__(
        self,
        config: DataConfig,
        frontend: FrontEndConfig,
        *,
        cache_dir: Path,
        batch_size: int = 64,
        seed: int = 0,
        waveforms: bool = False,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise DataError(f"`batch_size` must be at least 1, got {batch_size}.")
        self.config = config
        self.frontend = frontend
        self.cache_dir = Path(cache_dir)
        self.batch_size = batch_size
        self.seed = seed
        self.waveforms = waveforms
        self.progress = progress
        self.plan = BatchPlan()

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        root: str | Path,
        frontend: FrontEndConfig,
        *,
        cache_dir: str | Path = CACHE,
        progress: Progress | None = None,
        **settings: Any,
    ) -> AudioData:
        """A corpus by its name and folder; ``settings`` are fields of :class:`DataConfig`.

        Raises:
            RecipeError: If there is no such corpus or setting.
        """
        known = [field.name for field in fields(DataConfig)]
        unknown = sorted(settings.keys() - set(known))
        if unknown:
            raise RecipeError(f"There is no data setting `{unknown[0]}`; allowed are {known}.")
        config = DataConfig(corpus=corpus, root=str(root), **settings)
        return cls(config, frontend, cache_dir=Path(cache_dir), progress=progress)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self.manifest.labels

    def prepare_data(self) -> None:
        """Read the corpus, or generate it, and compute the features that are not cached."""
        self.setup("fit")

    def setup(self, stage: str | None = None) -> None:
        """Open every split; calling it again does nothing.

        Raises:
            DataError: Whatever is wrong with the corpus, in one line.
        """
        if hasattr(self, "arrays"):
            return
        self.manifest = self._read_manifest()
        if self.config.store == "stream":
            self.arrays = stream_splits(self.manifest, self.frontend)
        else:
            self.arrays = self._cached(self.manifest, waveforms=False)
        self.normalization = self.config.normalization or normalization(self.arrays["train"])
        text = json.dumps([self.manifest.fingerprint(), self.frontend.key()])
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        self._add_waveforms()

    def with_batches(
        self, batch_size: int, waveforms: bool | None = None, plan: BatchPlan | None = None
    ) -> AudioData:
        """The same corpus and arrays behind loaders of another batch size."""
        self.setup()
        other = AudioData(
            self.config,
            self.frontend,
            cache_dir=self.cache_dir,
            batch_size=batch_size,
            seed=self.seed,
            waveforms=self.waveforms if waveforms is None else waveforms,
            progress=self.progress,
        )
        other.manifest, other.arrays = self.manifest, dict(self.arrays)
        other.normalization, other.fingerprint = self.normalization, self.fingerprint
        other.plan = plan or self.plan
        other._add_waveforms()
        return other

    def train_batches(self, epoch: int, world: int = 1) -> int:
        """Training batches of each of ``world`` processes once ``epoch`` epochs are done."""
        return self._order("train", self.seed).batches(ProcessGroupPosition(epoch, 0, world))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled by (seed, epoch); a last batch of a single clip is left out."""
        return self._loader("train", self.seed, self.waveforms)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation in order."""
        return self._loader("val", None, False)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Test in order."""
        return self._loader("test", None, False)

    def _read_manifest(self) -> Manifest:
        """The corpus, checked to be fit for training, validation and test."""
        manifest = load_manifest(self.config, self.cache_dir, self.progress)
        validate(manifest)
        return manifest

    def _add_waveforms(self) -> None:
        """Training rows with waveforms; the other splits are never augmented and need none."""
        stored = self.config.store != "stream"
        if self.waveforms and stored and self.arrays["train"].waveforms is None:
            train = Manifest(self.manifest.name, self.manifest.split("train"), self.labels)
            self.arrays["train"] = self._cached(train, waveforms=True)["train"]

    def _cached(self, manifest: Manifest, *, waveforms: bool) -> dict[str, ClipArrays]:
        dtype: Stored = "float16" if self.config.store == "half" else "float32"
        return build_cache(
            manifest, self.frontend, self.cache_dir, waveforms, self.progress, dtype=dtype
        )

    def _loader(self, split: str, seed: int | None, waveforms: bool) -> DataLoader[Batch]:
        arrays = self.arrays[split]
        order = self._order(split, seed)
        workers = WORKERS if self.config.store == "stream" else 0
        # batch_size None: the sampler's row numbers reach the dataset as they are.
        return DataLoader(
            BatchRows(arrays, waveforms), sampler=order, batch_size=None, num_workers=workers
        )

    def _order(self, split: str, seed: int | None) -> EpochSampler:
        return EpochSampler(len(self.arrays[split]), self.batch_size, seed, self._place, self.plan)

    def _place(self) -> ProcessGroupPosition:
        trainer = self.trainer
        if trainer is None:
            return ProcessGroupPosition()
        return ProcessGroupPosition(trainer.current_epoch, trainer.global_rank, trainer.world_size)
