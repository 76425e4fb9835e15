"""Every corpus by its name."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

from aum_edge.core.progress import Progress
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.esc import load_esc
from aum_edge.data.corpora.folder import load_audio_folder, load_folder
from aum_edge.data.corpora.fsdd import load_fsdd
from aum_edge.data.corpora.manifest_file import label_file, load_table
from aum_edge.data.corpora.speech_commands import load_speech_commands
from aum_edge.data.corpora.synthetic.generate import VERSION, generate
from aum_edge.data.corpora.tau2022 import load_tau2022, read_layout
from aum_edge.data.labels import apply_label_table, read_label_table
from aum_edge.data.manifest import Manifest, check_rows, few
from aum_edge.data.splits import split_validation
from aum_edge.errors import DataError

log = logging.getLogger(__name__)


def load_manifest(
    config: DataConfig, cache_dir: Path, progress: Progress | None = None
) -> Manifest:
    """Read a corpus and carve its validation split if it brings none.

    The rows are checked, but a split may be empty, so that a folder with test clips alone can be
    scored; training calls :func:`aum_edge.data.manifest.validate` as well. ``synthetic`` is
    generated below ``cache_dir`` unless it is there already.

    Raises:
        DataError: A missing folder, a broken table or label file, labels that the label file
            lacks, another number of classes than ``n_classes``, no clips, rows given twice,
            missing files, or recordings that cross splits.
    """
    manifest = _read(config, cache_dir, progress)
    table = label_file(config)
    if table is not None:
        manifest = apply_label_table(manifest, read_label_table(table))
    if config.n_classes and len(manifest.labels) != config.n_classes:
        raise DataError(
            f"Corpus `{manifest.name}` has {len(manifest.labels)} classes "
            f"({few(manifest.labels)}), `n_classes` says {config.n_classes}: check the corpus and "
            "its label file."
        )
    if not manifest.split("val") and manifest.split("train"):
        clips = split_validation(manifest.clips, config.val_fraction, config.val_seed)
        manifest = replace(manifest, clips=clips)
    check_rows(manifest)
    return manifest


def _read(config: DataConfig, cache_dir: Path, progress: Progress | None) -> Manifest:
    if config.corpus == "tau2022":
        return load_tau2022(config)
    if config.corpus == "esc":
        return load_esc(config, cache_dir, progress)
    if config.corpus == "fsdd":
        return load_fsdd(config)
    if config.corpus == "speech_commands":
        return load_speech_commands(config)
    if config.corpus == "folder":
        return load_folder(config)
    if config.corpus == "manifest":
        return load_table(config)
    if config.corpus == "audio":
        return load_audio_folder(config)
    root = Path(config.root) if config.root else _synthetic_folder(config, cache_dir)
    return read_layout(generate(config.synthetic, root, progress), "split100", "synthetic")


def _synthetic_folder(config: DataConfig, cache_dir: Path) -> Path:
    text = json.dumps([VERSION, asdict(config.synthetic)])
    return cache_dir / f"synthetic-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
