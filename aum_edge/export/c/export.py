"""A student becomes NAME.c and NAME.h (and NAME_weights.c), or nothing is written."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aum_edge.errors import ExportError
from aum_edge.export.c.config import CExportConfig, identifier
from aum_edge.export.c.generate import Program, generate
from aum_edge.models.classifier import AudioClassifier

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class CExportReport:
    """A finished export; sizes in bytes, ``stream_bytes`` for students that hear streams."""

    path: Path
    files: tuple[str, ...]
    name: str
    seconds: float
    bytes: int
    sha256: str
    arena_bytes: int
    stream_bytes: int | None
    weight_bytes: int
    table_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "path": str(self.path), "file": self.path.name}


def export_c(
    model: AudioClassifier,
    out: str | Path,
    config: CExportConfig | None = None,
    progress: Progress | None = None,
) -> CExportReport:
    """Write a student as C beside its header.

    Args:
        model: A student, float or quantized. Left as it is.
        out: The .c file; the header and the array file are named after it. Files already there
            are replaced when all of the new ones have been written.
        config: Name, arrays in a file of their own.
        progress: Told (steps done, steps in all, what comes).

    Raises:
        UnsupportedOperatorError: If the engine lacks an operator of the model; it is named.
        ExportError: If the model does not fit, or the files cannot be written.
    """
    started = time.perf_counter()
    config, out = config or CExportConfig(), Path(out)
    if out.is_dir() or out.suffix != ".c":
        raise ExportError(f"The C engine is written to a file NAME.c, got {out}.")
    told = progress or _nobody
    told(0, 2, "writing C")
    program = generate(model, config.name or identifier(out.stem), config.separate_weights)
    texts = file_texts(program, out)
    told(1, 2, "writing files")
    write_all(texts)
    told(2, 2, "done")
    data = b"".join(text.encode() for text in texts.values())
    return CExportReport(
        path=out,
        files=tuple(path.name for path in texts),
        name=program.name,
        seconds=time.perf_counter() - started,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        arena_bytes=program.arena_bytes,
        stream_bytes=program.stream_bytes,
        weight_bytes=program.weight_bytes,
        table_bytes=program.table_bytes,
    )


def file_texts(program: Program, out: Path) -> dict[Path, str]:
    """What goes into which file; the source includes ``NAME.h`` by the program's name."""
    texts = {out: program.source, out.with_name(f"{program.name}.h"): program.header}
    if program.weights is not None:
        texts[out.with_name(f"{out.stem}_weights.c")] = program.weights
    return texts


def write_all(texts: Mapping[Path, str]) -> None:
    """Write all files, or none.

    Raises:
        ExportError: If a file cannot be written.
    """
    drafts = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in texts}
    try:
        for path, draft in drafts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(texts[path], encoding="utf-8", newline="\n")
        for path, draft in drafts.items():
            draft.replace(path)
    except OSError as error:
        raise ExportError(f"Cannot write {error.filename}: {error.strerror}.") from error
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _nobody(done: int, total: int, what: str) -> None:
    """Told nothing."""
