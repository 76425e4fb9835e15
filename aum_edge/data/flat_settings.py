"""Corpora's settings in the flat form that recipes had: read for one release, kept in keys."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aum_edge.data.corpora.registry import CorpusConfig, corpus_class, corpus_names
from aum_edge.errors import RecipeError

log = logging.getLogger(__name__)
SYNTHETIC = {
    "seed": 0,
    "n_train": 1200,
    "n_test": 450,
    "pieces": 2,
    "spread": 1.0,
    "device_strength": 1.0,
}
"""What keys hold of the generated corpus where the data are another one."""


@dataclass(frozen=True)
class FlatKey:
    """A key that stood in ``data`` itself: its default, and the corpora that read it."""

    default: Any
    corpora: tuple[str, ...]


FLAT = {
    "val_root": FlatKey("", ("manifest",)),
    "test_root": FlatKey("", ("manifest",)),
    "label_separator": FlatKey("", ("manifest",)),
    "test_fraction": FlatKey(0.2, ("folder", "manifest")),
    "segment_seconds": FlatKey(1.0, ("esc", "folder", "audio")),
    "silent_segments": FlatKey("drop", ("esc",)),
    "test_folds": FlatKey((), ("esc",)),
    "val_folds": FlatKey((), ("esc",)),
    "test_speakers": FlatKey((), ("fsdd",)),
    "val_speakers": FlatKey((), ("fsdd",)),
    "subset": FlatKey("split25", ("tau2022",)),
}


def flat_values(settings: CorpusConfig) -> dict[str, Any]:
    """The settings of all corpora in the flat form: the old keys, so that no stage is redone.

    Settings that are younger than that form stand under the corpus's name, if they differ from
    their defaults.
    """
    made: dict[str, Any] = {name: key.default for name, key in FLAT.items()}
    made["synthetic"] = dict(SYNTHETIC)
    later = {}
    defaults = type(settings)().values()
    for name, value in settings.values().items():
        if settings.corpus == "synthetic" and name in SYNTHETIC:
            made["synthetic"][name] = value
        elif name in FLAT and settings.corpus in FLAT[name].corpora:
            made[name] = value
        elif value != defaults[name]:
            later[name] = value
    if later:
        made[settings.corpus] = made.get(settings.corpus, {}) | later
    return made


def nest(data: Mapping[str, Any], where: str, *, later: bool = False) -> dict[str, Any]:
    """A recipe's ``data`` with flat settings moved under the corpus's name; one line says so.

    Args:
        data: As the recipe gives it.
        where: What to call it in messages, such as the recipe's path.
        later: Whether a flat setting was given after the nested ones, and wins.

    Raises:
        RecipeError: An unknown corpus, a setting of another corpus, or one that is given twice.
    """
    try:
        corpus = corpus_class(data.get("corpus", "synthetic")).corpus
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    made, moved = dict(data), {}
    for name in [name for name in data if name in FLAT]:
        value = made.pop(name)
        if corpus in FLAT[name].corpora:
            moved[name] = value
        elif _listed(value) != _default(name):
            raise RecipeError(
                f"{where}: `{name}` is a setting of the corpus `{FLAT[name].corpora[0]}`, the data "
                f"are `{corpus}`: take it out."
            )
    own = made.get(corpus, {})
    if not isinstance(own, dict):
        return made
    twice = sorted(moved.keys() & own.keys())
    if twice and not later:
        raise RecipeError(f"{where}: give `data.{corpus}.{twice[0]}` or `data.{twice[0]}`.")
    if len(made) < len(data):
        _warn(where, corpus, moved)
    return made | ({corpus: own | moved} if moved else {})


def without_other_corpora(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``data`` less other corpora's settings, which may stand there at their defaults alone.

    Raises:
        RecipeError: If a corpus that is not the chosen one is given settings.
    """
    corpus = data.get("corpus", "synthetic")
    made = dict(data)
    for name in set(corpus_names()) & data.keys() - {corpus}:
        defaults = corpus_class(name)().values()
        given = made.pop(name) or {}
        if not isinstance(given, dict) or any(
            _listed(value) != _listed(defaults.get(key)) for key, value in given.items()
        ):
            raise RecipeError(
                f"{where}: `data.{name}` are settings of another corpus, the data are `{corpus}`: "
                f"take them out, or set `data.corpus: {name}`."
            )
    return made


def setting_names(values: Mapping[str, Any]) -> Iterator[str]:
    """Names of all settings in some values of ``data``, those of a corpus without its name."""
    for name, value in values.items():
        yield from value if name in corpus_names() and isinstance(value, Mapping) else (name,)


def merged(corpus: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Values of ``data`` with others over them, those of the corpus one by one."""
    own = dict(first.get(corpus, {})) | dict(second.get(corpus, {}))
    return {**first, **second} | ({corpus: own} if own else {})


def warn_flat(where: str, corpus: str, given: Iterable[Mapping[str, Any]]) -> None:
    """One line if some values of ``data`` have a corpus's settings in their old place."""
    flat = {name: value for values in given for name, value in values.items() if name in FLAT}
    if flat:
        _warn(where, corpus, flat)


def _warn(where: str, corpus: str, flat: Mapping[str, Any]) -> None:
    known = {name: value for name, value in flat.items() if _listed(value) != _default(name)}
    text = json.dumps({corpus: known}).replace('"', "")[1:-1]
    log.warning(
        "%s: settings of a corpus stand under its name; write `data: {%s}`. "
        "The old form is read for one release.",
        where,
        text,
    )


def _default(name: str) -> Any:
    return _listed(FLAT[name].default)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
