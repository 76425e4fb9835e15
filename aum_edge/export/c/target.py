"""The target .c."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aum_edge.core.progress import Progress
from aum_edge.export.c.config import CExportConfig
from aum_edge.export.target import ExportedFile, ExportTarget

if TYPE_CHECKING:
    from aum_edge.models.classifier import AudioClassifier


def _write(
    model: AudioClassifier, out: Path, config: CExportConfig, progress: Progress | None
) -> ExportedFile:
    from aum_edge.export.c.export import export_c

    return export_c(model, out, config, progress)


TARGET = ExportTarget(
    ending=".c",
    description="C99 and its header, front end inside; streams if the model is causal",
    config=CExportConfig,
    write=_write,
    options={
        "name": "prefix of its functions; of the file's name if none",
        "separate_weights": "weights in a file of their own",
        "atol": "largest logit difference",
    },
)
