"""What a check finds: one line each, and what it means for the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from aum_edge.errors import AumEdgeError, BudgetError

Level = Literal["over", "error", "note"]


@dataclass(frozen=True)
class Finding:
    """One line. ``over`` is over a limit, ``error`` breaks a rule, ``note`` is worth knowing."""

    level: Level
    what: str


def errors(lines: Iterable[str]) -> list[Finding]:
    """Broken rules."""
    return [Finding("error", line) for line in lines]


def exit_code(findings: Iterable[Finding]) -> int:
    """3 if anything is over a limit, else 1 if a rule is broken, else 0."""
    levels = {finding.level for finding in findings}
    if "over" in levels:
        return BudgetError.exit_code
    return AumEdgeError.exit_code if "error" in levels else 0
