"""Settings of an export to C."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aum_edge.errors import RecipeError

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
TAKEN = frozenset(
    "clip stem fe assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp "
    "signal stdarg stdbool stddef stdint stdio stdlib string tgmath time wchar wctype".split()
)
"""Prefixes of the engine's own functions, and headers of C: NAME.h must not hide one of these."""


@dataclass(frozen=True, kw_only=True)
class CExportConfig:
    """How a student becomes a C file."""

    name: str | None = None
    """Prefix of every public name, a C identifier; ``None`` makes one of the file's name."""
    separate_weights: bool = False
    """Weights in an array file of their own (NAME_weights.c) beside the code."""
    atol: float = 1e-4
    """Largest difference of a logit from torch's."""

    def __post_init__(self) -> None:
        if self.name is not None and not IDENTIFIER.fullmatch(self.name):
            raise RecipeError(
                f"`name` must be a C identifier (a letter, then letters, digits or _), "
                f"got {self.name!r}."
            )
        if self.name is not None and self.name.lower() in TAKEN:
            raise RecipeError(
                f"`name` {self.name!r} belongs to the engine's own functions or to a header of C: "
                f"choose another, such as my_{self.name}."
            )
        if not self.atol > 0:
            raise RecipeError(f"`atol` must be above 0, got {self.atol}.")


def identifier(stem: str) -> str:
    """A C identifier that reads like a file's name: ``student-ssd`` becomes ``student_ssd``."""
    name = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_") or "model"
    return name if name[0].isalpha() and name.lower() not in TAKEN else f"m_{name}"
