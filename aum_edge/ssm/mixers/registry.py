"""Student mixers by the name that a config gives them.

Every module beside this one is imported when a name is first looked up, so that a new file there
is all that a new mixer takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aum_edge.core.modules import import_modules
from aum_edge.ssm.mixers.base import StudentMixer

Kind = TypeVar("Kind", bound=type[StudentMixer])
_HERE = __name__.rpartition(".")[0]
_MIXERS: dict[str, type[StudentMixer]] = {}


def register_mixer(name: str) -> Callable[[Kind], Kind]:
    """Class decorator: the mixer that a student's ``mixer: name`` means.

    Raises:
        TypeError: If the class lacks a part that a student's mixer must have.
        ValueError: If another class has that name.
    """

    def register(kind: Kind) -> Kind:
        missing = sorted(kind.__abstractmethods__)
        if missing:
            raise TypeError(f"The mixer {kind.__name__} lacks {', '.join(missing)}.")
        if _MIXERS.setdefault(name, kind) is not kind:
            raise ValueError(f"There is a mixer `{name}` already: {_MIXERS[name].__name__}.")
        return kind

    return register


def mixer_names() -> tuple[str, ...]:
    """Names of all student mixers, those that scan first."""
    import_modules(_HERE)
    return tuple(sorted(_MIXERS, key=lambda name: (not _MIXERS[name].scans, name)))


def student_mixer(name: str) -> type[StudentMixer]:
    """The mixer of that name.

    Raises:
        KeyError: If there is none.
    """
    import_modules(_HERE)
    return _MIXERS[name]
