"""Settings of the data: which corpus, where it lies, what is held out and how it is stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NoReturn, Self, get_args

from aum_edge.audio.config import Normalization
from aum_edge.data.corpora.registry import CorpusConfig, corpus_class, corpus_names
from aum_edge.data.flat_settings import flat_values
from aum_edge.errors import RecipeError

Store = Literal["cache", "half", "stream"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """One corpus and its splits. ``root`` is a folder, or the file of a ``manifest``.

    In a recipe the corpus's own settings stand under its name:
    ``data: {corpus: esc, root: DIR, esc: {test_folds: [4]}}``.
    """

    corpus: str = "synthetic"
    """Which reader: a built-in corpus, a published one, or audio of your own."""
    root: str = ""
    """Where the corpus lies. ``synthetic`` needs none: it is generated in the cache folder."""
    settings: CorpusConfig | None = None
    """The corpus's own; None is its defaults. See :attr:`corpus_config`."""
    label_file: str = ""
    """CSV ``index,mid,display_name``: the classes in the order of the network's outputs."""
    n_classes: int = 0
    """How many classes the corpus must have; 0 is as many as it has."""
    normalization: Normalization | None = None
    """Published values to use as they are; null computes them over the training split."""
    val_fraction: float = 0.15
    """Share of the training clips held out for validation, by whole groups, where the corpus
    names none."""
    val_seed: int = 0
    """Of the splits that are drawn."""
    store: Store = "cache"
    """cache: features are computed once and kept on disk; half: the same in 16 bit,
    which takes half the disk and half the reads and rounds log-mels by up to 0.004; stream: they
    are made from the audio in every epoch, for corpora whose features no disk holds (all of
    AudioSet is a terabyte)."""

    def __post_init__(self) -> None:
        kind = corpus_class(self.corpus)
        if self.settings is not None and type(self.settings) is not kind:
            raise RecipeError(
                f"Data `settings` are those of the corpus `{self.settings.corpus}`, `corpus` is "
                f"`{self.corpus}`: give {kind.__name__}(...)."
            )
        if self.settings == kind():
            object.__setattr__(self, "settings", None)
        if self.store not in get_args(Store):
            allowed = ", ".join(get_args(Store))
            raise RecipeError(f"Data `store` must be one of {allowed}; got '{self.store}'.")
        if self.n_classes < 0:
            raise RecipeError(f"Data `n_classes` must be at least 0, got {self.n_classes}.")
        if not 0 < self.val_fraction < 1:
            raise RecipeError(
                f"Data `val_fraction` must lie between 0 and 1, got {self.val_fraction}."
            )

    @property
    def corpus_config(self) -> CorpusConfig:
        """The corpus's own settings, which also read it."""
        return self.settings or corpus_class(self.corpus)()

    @classmethod
    def of(cls, corpus: str, root: str | os.PathLike[str] = "", **values: Any) -> Self:
        """A corpus with any settings, common ones or its own: ``of("esc", DIR, test_folds=(4,))``.

        Raises:
            RecipeError: If there is no such corpus or setting, or a value is refused.
        """
        return cls(corpus=corpus, root=os.fspath(root)).changed(values)

    def changed(self, values: Mapping[str, Any]) -> Self:
        """The same with other values: as in a recipe, or the corpus's own without its name.

        Raises:
            RecipeError: If there is no such setting, or a value is refused.
        """
        kind, common = corpus_class(values.get("corpus", self.corpus)), {}
        own = dict(values.get(kind.corpus, {}))
        known = set(kind.names())
        for name, value in values.items():
            if name in known:
                own[name] = value
            elif name != kind.corpus:
                common[name] = value
        allowed = {entry.name for entry in fields(self)} - {"settings"}
        for name in sorted((own.keys() - known) | (common.keys() - allowed)):
            _refuse(name, kind, allowed)
        base = self.corpus_config if kind.corpus == self.corpus else kind()
        own = {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}
        settings = replace(base, **own)  # type: ignore[type-var]
        return replace(self, **common, settings=settings)

    def to_recipe(self) -> dict[str, Any]:
        """Every value as a recipe holds it, the corpus's own under its name."""
        values = self._common()
        own = self.corpus_config.values()
        return values | ({self.corpus: own} if own else {})

    def key(self) -> dict[str, Any]:
        """What keys of stages and studies hash: unchanged for recipes of the flat form."""
        return self._common() | flat_values(self.corpus_config)

    def _common(self) -> dict[str, Any]:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del values["settings"]
        if self.normalization is not None:
            values["normalization"] = asdict(self.normalization)
        return values


def _refuse(name: str, kind: type[CorpusConfig], allowed: set[str]) -> NoReturn:
    for other in corpus_names():
        if name == other or name in corpus_class(other).names():
            raise RecipeError(
                f"Data `{name}` is for the corpus `{other}`, got it with `{kind.corpus}`."
            )
    own = ", ".join(kind.names()) or "none"
    raise RecipeError(
        f"`data` has no such setting: `{name}`; those of the corpus `{kind.corpus}` are {own}, "
        f"those of every corpus {', '.join(sorted(allowed))}."
    )
