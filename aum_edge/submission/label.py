"""The submission label: ``[Lastname]_[Institute]_task1_[1-4]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aum_edge.errors import RecipeError

RULE = "[Lastname]_[Institute]_task1_[1-4], for example Schmid_CPJKU_task1_1"
_PART = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


@dataclass(frozen=True)
class Label:
    """One of at most four systems of a team."""

    package: str
    """``Lastname_Institute_task1``: the folder that holds all of a team's systems."""
    index: int

    @property
    def text(self) -> str:
        """The whole label."""
        return f"{self.package}_{self.index}"


def parse_label(text: str) -> Label:
    """The label in its parts.

    Raises:
        RecipeError: If it breaks the rule; the message says in which part.
    """
    parts = text.split("_")
    if len(parts) != 4:
        raise RecipeError(
            f"The label `{text}` has {len(parts)} parts between underscores; it needs 4: {RULE}."
        )
    name, institute, task, index = parts
    for what, part in (("last name", name), ("institute", institute)):
        if not _PART.fullmatch(part):
            raise RecipeError(
                f"The {what} `{part}` of the label `{text}` must be letters and digits without "
                f"accents, and begin with a letter: {RULE}."
            )
    if task != "task1":
        raise RecipeError(f"The third part of the label `{text}` must be `task1`: {RULE}.")
    if index not in ("1", "2", "3", "4"):
        raise RecipeError(
            f"The number `{index}` of the label `{text}` must be 1, 2, 3 or 4, since a team may "
            f"submit four systems: {RULE}."
        )
    return Label(f"{name}_{institute}_task1", int(index))
