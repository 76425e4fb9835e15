"""Registry of corpora: a corpus is a dataclass of its settings that reads its own layout.

A file of this folder is a corpus once it holds a class under :func:`register`; nothing else names
it. A class registered anywhere else, as in a notebook, serves as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from aum_edge.core.modules import import_modules
from aum_edge.core.progress import Progress
from aum_edge.data.manifest import Manifest
from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class CorpusSource:
    """Where a corpus lies, and what reading it may need."""

    root: str
    """A folder or a file; empty where the recipe gives none."""
    cache_dir: Path
    seed: int = 0
    """Of splits that are drawn: ``val_seed``."""
    progress: Progress | None = None


class CorpusConfig(ABC):
    """Settings of one corpus, a frozen dataclass with a default for each, and its reader."""

    corpus: ClassVar[str] = ""
    """Its name in recipes, given by :func:`register`."""

    @abstractmethod
    def load(self, source: CorpusSource) -> Manifest:
        """Read the corpus; without validation clips they are split off the training ones.

        Raises:
            DataError: Whatever is wrong with the folder or its tables, in one line.
        """

    def label_file(self, root: str) -> Path | None:
        """The label CSV that lies beside the corpus, where a recipe names none."""
        return None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of its settings."""
        return tuple(entry.name for entry in fields(cls))  # type: ignore[arg-type]

    def values(self) -> dict[str, Any]:
        """Its settings as plain values."""
        return asdict(self)  # type: ignore[call-overload]

    @property
    def title(self) -> str:
        """What lineages call these data."""
        return self.corpus


Kind = TypeVar("Kind", bound=CorpusConfig)
_CORPORA: dict[str, type[CorpusConfig]] = {}


def register(name: str) -> Callable[[type[Kind]], type[Kind]]:
    """Make a class a corpus: ``data: {corpus: NAME, NAME: {its fields}}`` in a recipe.

    Raises:
        TypeError: If the class is no dataclass, a field has no default, or the name is taken.
    """

    def add(kind: type[Kind]) -> type[Kind]:
        if not is_dataclass(kind):
            raise TypeError(f"The corpus `{name}` must be a frozen dataclass: {kind.__name__}.")
        bare = [
            entry.name
            for entry in fields(kind)
            if entry.default is MISSING and entry.default_factory is MISSING
        ]
        if bare:
            raise TypeError(f"Settings of the corpus `{name}` need defaults: {', '.join(bare)}.")
        if name in _CORPORA:
            raise TypeError(f"There is a corpus `{name}` already: {_CORPORA[name].__name__}.")
        kind.corpus = name
        _CORPORA[name] = kind
        return kind

    return add


def corpus_names() -> tuple[str, ...]:
    """All corpora, in the order of their names."""
    import_modules("aum_edge.data.corpora", deep=True)
    return tuple(sorted(_CORPORA))


def corpus_class(name: str) -> type[CorpusConfig]:
    """The settings of a corpus.

    Raises:
        RecipeError: If there is no such corpus.
    """
    import_modules("aum_edge.data.corpora", deep=True)
    if not isinstance(name, str) or name not in _CORPORA:
        names = ", ".join(corpus_names())
        raise RecipeError(f"Data `corpus` must be one of {names}; got '{name}'.")
    return _CORPORA[name]
