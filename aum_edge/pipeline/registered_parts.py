"""Parts of a recipe whose kinds are registered: the corpus's own settings, and augmentations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, cast, get_args, get_origin, get_type_hints

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.registry import augmentations
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.registry import corpus_class
from aum_edge.data.flat_settings import nest, without_other_corpora
from aum_edge.errors import RecipeError

Reader = Callable[[type, Any, str, str], Any]
"""Reads a dataclass of plain values strictly: its type, the values, the recipe, the key."""


def nest_data(values: dict[str, Any], source: str, *, later: bool = False) -> None:
    """Read settings of corpora in their old place as well."""
    if isinstance(values.get("data"), dict):
        values["data"] = nest(values["data"], source, later=later)


def with_corpus_settings(values: dict[str, Any], source: str, read: Reader) -> dict[str, Any]:
    """The recipe with its corpus's settings read, as the dataclass that they are."""
    if not isinstance(values.get("data"), dict):
        return values
    data = without_other_corpora(values["data"], source)
    kind = corpus_class(data.get("corpus", DataConfig.corpus))
    own = data.pop(kind.corpus, {})
    if "settings" in data:
        raise RecipeError(
            f"{source}: `data.{kind.corpus}` holds settings of its own, `data.settings` is no key."
        )
    settings = read(kind, own, source, f"data.{kind.corpus}") if own != {} else None
    return values | {"data": data | {"settings": settings}}


def with_augmentations(values: Any, kind: type, source: str, read: Reader, path: str = "") -> Any:
    """The recipe with every registered augmentation read, as the dataclass that it is."""
    if not isinstance(values, dict):
        return values
    made, hints = dict(values), get_type_hints(kind)
    known = augmentations() if kind is AugmentConfig else {}
    if kind is AugmentConfig and "registered" in made:
        raise RecipeError(
            f"{source}: There is no key `{path}registered`: give augmentations by name."
        )
    for name in values.keys() & known.keys():
        one = read(known[name], made.pop(name), source, f"{path}{name}")
        made.setdefault("registered", {})[name] = one
    for key in made.keys() & hints.keys() - {"registered"}:
        hint, item = hints[key], made[key]
        inner = next((x for x in (hint, *get_args(hint)) if is_dataclass(x)), None)
        if inner is None:
            continue
        below, at = cast(type, inner), f"{path}{key}."
        if isinstance(item, list):
            made[key] = [with_augmentations(x, below, source, read, at) for x in item]
        elif get_origin(hint) is dict and isinstance(item, dict):
            made[key] = {
                name: with_augmentations(x, below, source, read, f"{at}{name}.")
                for name, x in item.items()
            }
        else:
            made[key] = with_augmentations(item, below, source, read, at)
    return made
