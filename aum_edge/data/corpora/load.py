"""Reading a corpus: its own reader, the label file, the validation split and the checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aum_edge.core.progress import Progress
from aum_edge.core.text import few
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.registry import CorpusSource
from aum_edge.data.labels import apply_label_table, read_label_table
from aum_edge.data.manifest import Manifest, check_rows
from aum_edge.data.splits import split_by_groups
from aum_edge.errors import DataError


def load_manifest(
    config: DataConfig, cache_dir: Path, progress: Progress | None = None
) -> Manifest:
    """Read a corpus and split off validation clips if it brings none.

    The rows are checked, but a split may be empty, so that a folder with test clips alone can be
    scored; training calls :func:`aum_edge.data.manifest.validate` as well. ``synthetic`` is
    generated below ``cache_dir`` unless it is there already.

    Raises:
        DataError: A missing folder, a broken table or label file, labels that the label file
            lacks, another number of classes than ``n_classes``, no clips, rows given twice,
            missing files, or recordings that cross splits.
    """
    corpus = config.corpus_config
    source = CorpusSource(
        root=config.root, cache_dir=cache_dir, seed=config.val_seed, progress=progress
    )
    manifest = corpus.load(source)
    table = Path(config.label_file) if config.label_file else corpus.label_file(config.root)
    if table is not None:
        manifest = apply_label_table(manifest, read_label_table(table))
    if config.n_classes and len(manifest.labels) != config.n_classes:
        raise DataError(
            f"Corpus `{manifest.name}` has {len(manifest.labels)} classes "
            f"({few(manifest.labels)}), `n_classes` says {config.n_classes}: check the corpus and "
            "its label file."
        )
    if not manifest.split("val") and manifest.split("train"):
        clips = split_by_groups(manifest.clips, config.val_fraction, config.val_seed)
        manifest = replace(manifest, clips=clips)
    check_rows(manifest)
    return manifest
