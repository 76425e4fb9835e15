"""Parity of a C export with its model: golden vectors, compiled and run on this machine."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aum_edge.errors import ExportError, ParityError
from aum_edge.runtimes.c_compiler import Isa, build_program, find_compiler

SECONDS = 600
_RESULT = re.compile(r"features (\S+) samples (\S+) allowed (\S+ and \S+)")


@dataclass(frozen=True, kw_only=True)
class Verification:
    """How far a program's logits were from torch's, and who compiled it."""

    compiler: str
    isa: Isa
    from_features: float
    """Largest difference of a logit, features given."""
    from_samples: float
    """The same with the front end in C."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def verify(sources: Sequence[Path], isa: Isa = "native") -> Verification:
    """Compile a model and its golden vectors for this machine, and run them.

    Args:
        sources: The model's .c files and, last, that of its golden vectors.
        isa: What to build for.

    Raises:
        MissingCompilerError: If there is no compiler.
        ParityError: If a logit differs by more than the vectors allow.
        ExportError: If the program cannot be compiled, or does not end as it should.
    """
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(prefix="aum-edge-proof-") as folder:
        program = build_program(sources, Path(folder) / "proof", isa)
        output, code = _run(program)
    found = _RESULT.search(output)
    if found is None or code not in (0, 1):
        raise ExportError(
            f"The C program did not end as it should (exit code {code}: {output.strip()[:100]}); "
            "it was not kept. Please report this with the model."
        )
    features, samples = float(found[1]), float(found[2])
    if code:
        raise ParityError(
            f"The C program differs from the model by {features:.2e} in a logit from features and "
            f"by {samples:.2e} from samples (allowed {found[3]}); it was not kept. Check that the "
            "weights are finite, or try another compiler in $CC."
        )
    return Verification(
        compiler=compiler.version, isa=isa, from_features=features, from_samples=samples
    )


def _run(program: Path) -> tuple[str, int]:
    try:
        done = subprocess.run(
            [str(program)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"The C program does not run ({error}); it was not kept.") from error
    return done.stdout, done.returncode
