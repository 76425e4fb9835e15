"""External data of a run, as challenges ask for it to be declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class ExternalData:
    """One data set, recording collection or published model; the fields of the meta yaml."""

    name: str
    """What it is called."""
    url: str = ""
    """Where it is published."""
    licence: str = ""
    """Under which terms."""
    total_audio_length: float | None = None
    """Minutes."""
    used_for: str = ""
    """For example `pretraining of the student`, `device impulse responses`."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise RecipeError("Every entry of `external_data` needs a `name`.")
        if self.total_audio_length is not None and not self.total_audio_length > 0:
            raise RecipeError(
                f"`external_data.total_audio_length` of {self.name} is in minutes and above 0, or "
                f"null where there is no audio; got {self.total_audio_length}."
            )


def check_external(entries: Sequence[ExternalData]) -> None:
    """Each name comes once.

    Raises:
        RecipeError: If one comes twice.
    """
    names = [entry.name for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RecipeError(f"`external_data` names {twice[0]} twice: declare each data set once.")
