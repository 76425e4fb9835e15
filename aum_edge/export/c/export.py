"""A student becomes NAME.c and NAME.h (and NAME_weights.c), compiled, run and compared first.

``NAME_test.c`` beside them holds the golden vectors of that comparison, for every other target.
"""

from __future__ import annotations

import copy
import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aum_edge.core.files import write_together
from aum_edge.core.progress import Progress
from aum_edge.errors import ExportError
from aum_edge.export.c.budget import Budget, budget
from aum_edge.export.c.config import CExportConfig, identifier
from aum_edge.export.c.generate import Program, generate
from aum_edge.export.c.golden import golden, golden_source
from aum_edge.export.c.verify import Verification, verify
from aum_edge.export.target import ExportedFile
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.c_compiler import FailedCompilerError, MissingCompilerError
from aum_edge.runtimes.c_metadata import UNVERIFIED, VERIFIED, marked

STEPS = 3


@dataclass(frozen=True, kw_only=True)
class CExportReport(ExportedFile):
    """A finished export; sizes in bytes, ``stream_bytes`` for students that stream."""

    files: tuple[str, ...]
    name: str
    seconds: float
    bytes: int
    sha256: str
    """Of the .c file."""
    arena_bytes: int
    stream_bytes: int | None
    weight_bytes: int
    table_bytes: int
    budget: Budget
    """What a microcontroller would need."""
    proof: Verification | None
    """None without a compiler that compiles it: the file then says that it is unverified."""
    unproven: str
    """Why there is no proof, or nothing."""

    @property
    def verified(self) -> bool:
        """Whether the program was compiled, run and found equal."""
        return self.proof is not None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), **super().to_dict(), "verified": self.verified}

    @property
    def warning(self) -> str:
        """Why nothing has proven the file, where no compiler could."""
        if self.verified:
            return ""
        return (
            f"{self.path} is unverified. {self.unproven} On its target, {self.name}_test.c says "
            "whether it is right."
        )

    def __str__(self) -> str:
        stream = f", of a stream {self.stream_bytes:,}" if self.stream_bytes else ""
        lines = [
            f"{self.path}: {', '.join(self.files[1:])} beside it, made in {self.seconds:.1f} s",
            f"  weights {self.weight_bytes:,} bytes, front end's tables {self.table_bytes:,}, "
            f"arena {self.arena_bytes:,}{stream}",
            *self.budget.lines(),
        ]
        if self.proof:
            lines.append(
                f"  verified by {self.proof.compiler}: largest logit difference "
                f"{self.proof.from_features:.1e} from features, {self.proof.from_samples:.1e} from "
                "samples"
            )
        return "\n".join(lines)


def export_c(
    model: AudioClassifier,
    out: str | Path,
    config: CExportConfig | None = None,
    progress: Progress | None = None,
) -> CExportReport:
    """Write a student as C beside its header, proven equal on golden vectors.

    Without a compiler, or with one that fails, the files are written all the same, marked as
    unverified, ``proof`` is None and ``unproven`` says why.

    Args:
        model: A student, float or quantized. Left as it is.
        out: The .c file; the header and the array file are named after it. Files already there
            are replaced when all of the new ones have passed.
        config: Name, arrays in a file of their own, tolerance.
        progress: Called with (steps done, steps in all, what comes).

    Raises:
        UnsupportedOperatorError: If the engine lacks an operator of the model; it is named.
        ExportError: If the model does not fit, or files cannot be written.
        ParityError: If a logit differs by more than ``config.atol``. Nothing is left behind.
    """
    started = time.perf_counter()
    config, out, report = config or CExportConfig(), Path(out), progress or _nobody
    _check(model, out)
    still = copy.deepcopy(model).cpu().eval()
    report(0, STEPS, "writing C")
    program = generate(still, config.name or identifier(out.stem), config.separate_weights)
    texts = file_texts(program, out)
    report(1, STEPS, "golden vectors")
    texts |= _vectors(program, still, out, config.atol)
    report(2, STEPS, "compiling and comparing")
    proof, unproven = _proof(texts)
    texts[out] = marked(texts[out], VERIFIED if proof else UNVERIFIED)
    write_all(texts)
    report(STEPS, STEPS, "compiling and comparing")
    return CExportReport(
        path=out,
        files=tuple(path.name for path in texts),
        name=program.name,
        seconds=time.perf_counter() - started,
        bytes=sum(len(text.encode()) for text in texts.values()),
        sha256=hashlib.sha256(texts[out].encode()).hexdigest(),
        arena_bytes=program.arena_bytes,
        stream_bytes=program.stream_bytes,
        weight_bytes=program.weight_bytes,
        table_bytes=program.table_bytes,
        budget=budget(still, program.weight_bytes, program.table_bytes, program.arena_bytes),
        proof=proof,
        unproven=unproven,
    )


def _check(model: AudioClassifier, out: Path) -> None:
    """Refuse what cannot become a C file before anything is made."""
    if out.is_dir():
        raise ExportError(f"{out} is a folder: give the name of the .c file to write.")
    if out.suffix != ".c":
        raise ExportError(
            f"The C engine is written to a file NAME.c, got {out}: compilers read .C as C++."
        )
    if not model.labels:
        raise ExportError("An encoder without classes has no logits to export: train it first.")


def _vectors(program: Program, model: AudioClassifier, out: Path, atol: float) -> dict[Path, str]:
    """The golden vectors' program, beside ``out``."""
    path = out.with_name(f"{program.name}_test.c")
    if path in file_texts(program, out):
        raise ExportError(
            f"{out.name} is the name of the golden vectors' program: choose another file or --name."
        )
    streams = program.stream_bytes is not None
    return {path: golden_source(program.name, golden(model), model, atol, streams)}


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
    try:
        write_together(texts)
    except OSError as error:
        raise ExportError(f"Cannot write {error.filename}: {error.strerror}.") from error


def _proof(texts: Mapping[Path, str]) -> tuple[Verification | None, str]:
    """Compile and compare in a folder of its own; without a compiler that can, say why."""
    with tempfile.TemporaryDirectory(prefix="aum-edge-c-") as folder:
        copies = {Path(folder) / path.name: text for path, text in texts.items()}
        write_all(copies)
        try:
            return verify([path for path in copies if path.suffix == ".c"]), ""
        except (MissingCompilerError, FailedCompilerError) as error:
            return None, str(error)


def _nobody(done: int, total: int, what: str) -> None:
    """A progress callback that does nothing."""
