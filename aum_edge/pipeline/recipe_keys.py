"""Keys of a recipe with type, default and meaning, read off its dataclasses.

A field's meaning is the docstring under it, or the first line of the settings that it holds. The
reader takes any dataclass and imports none itself.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from itertools import pairwise
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from aum_edge.core.modules import import_modules

WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
REQUIRED = object()
"""Stands for the default of a key that has none."""


@dataclass(frozen=True)
class RecipeKey:
    """One key: what may stand there and what it does."""

    name: str
    values: str
    """Its type in words, such as ``whole number``; choices stand in backticks."""
    default: Any
    """The value, or ``REQUIRED``."""
    meaning: str
    holds: type | None = None
    """The dataclass whose keys stand under this one."""


@dataclass(frozen=True)
class Section:
    """The keys of one dataclass, and every place of a recipe where they stand."""

    config: type
    keys: tuple[RecipeKey, ...]
    places: tuple[str, ...]
    """Dotted names, as ``prune.recover``; NAME is a name of the recipe's own, [] an entry."""
    changed: dict[str, dict[str, Any]]
    """By place, with the kind of recipe where only that has them: other defaults than its own."""

    @property
    def text(self) -> str:
        """What the settings are for: the docstring of the class."""
        return _plain(inspect.getdoc(self.config) or "")


@dataclass(frozen=True)
class _Place:
    """A dataclass where it stands in a recipe, with the values it has there by default."""

    config: type
    recipe: str
    """Name of the kind of recipe."""
    name: str = ""
    values: Any = None

    @property
    def changed(self) -> dict[str, Any]:
        """The values that are not the dataclass's own defaults; those inside them aside."""
        own = {entry.name: _default(entry) for entry in _entries(self.config)}
        values = {} if self.values is None else {name: getattr(self.values, name) for name in own}
        return {k: v for k, v in values.items() if v != own[k] and not is_dataclass(v)}


def keys_of(config: type) -> tuple[RecipeKey, ...]:
    """Every key of one dataclass, without those of the settings that it holds."""
    hints, meanings = get_type_hints(config), _meanings(config)
    keys = []
    for entry in _entries(config):
        for name, held in _held(entry.name, hints[entry.name]):
            own = name == entry.name
            key = RecipeKey(
                name=name,
                values=_type_words(hints[entry.name]) if own else "settings",
                default=_default(entry) if own else _made(cast(type, held)),
                meaning=(own and meanings.get(name)) or _first_line(held),
                holds=held,
            )
            keys.append(key)
    return tuple(keys)


def sections(configs: Sequence[type]) -> tuple[Section, ...]:
    """The dataclasses inside these ones, each once, in the order of their first place."""
    found: dict[type, list[_Place]] = {}
    for config in configs:
        for place in _inside(_Place(config, config.__name__)):
            found.setdefault(place.config, []).append(place)
    return tuple(
        Section(config, keys_of(config), tuple(dict.fromkeys(p.name for p in places)), _by(places))
        for config, places in found.items()
    )


def _by(places: list[_Place]) -> dict[str, dict[str, Any]]:
    """Other defaults by place; with the kind of recipe where kinds differ in them."""
    changed: dict[str, dict[str, Any]] = {}
    for place in places:
        alike = all(p.changed == place.changed for p in places if p.name == place.name)
        if place.changed:
            changed[place.name if alike else f"{place.name} of {place.recipe}"] = place.changed
    return changed


def _inside(place: _Place) -> Iterator[_Place]:
    """The settings under a place, level by level down."""
    hints = get_type_hints(place.config)
    for entry in _entries(place.config):
        for name, held in _held(entry.name, hints[entry.name]):
            if held is None:
                continue
            origin = get_origin(hints[entry.name])
            mark = ".NAME" if origin is dict else "[]" if origin is tuple else ""
            default = getattr(place.values, entry.name, _default(entry))
            inner = _Place(
                config=held,
                recipe=place.recipe,
                name=f"{place.name}.{name}{mark}".removeprefix("."),
                values=default if isinstance(default, held) else _made(held),
            )
            yield inner
            yield from _inside(inner)


def _held(name: str, hint: Any) -> list[tuple[str, type | None]]:
    """The key of a field with the dataclass that it holds, or None for a plain value.

    A field of a base class that is no dataclass, as the settings of a corpus, stands for a key a
    registered subclass: each under the subclass's own name.
    """
    for option in (hint, *get_args(hint)):
        if is_dataclass(option):
            return [(name, cast(type, option))]
        if inspect.isclass(option) and inspect.isabstract(option) and hasattr(option, "corpus"):
            return _registered(option)
    return [(name, None)]


def _registered(base: type) -> list[tuple[str, type | None]]:
    """Names and classes of what derives from a base and stands in its package."""
    package = base.__module__.rpartition(".")[0]
    import_modules(package, deep=True)
    kinds = [kind for kind in _subclasses(base) if kind.__module__.startswith(f"{package}.")]
    named: dict[str, type] = {kind.__dict__.get("corpus", ""): kind for kind in kinds}
    return [(name, named[name]) for name in sorted(named) if name]


def _subclasses(base: type) -> Iterator[type]:
    kinds: list[type] = base.__subclasses__()
    for kind in kinds:
        yield kind
        yield from _subclasses(kind)


def _entries(config: type) -> tuple[Field[Any], ...]:
    return fields(cast(Any, config))


def _default(entry: Field[Any]) -> Any:
    if entry.default is not MISSING:
        return entry.default
    return REQUIRED if entry.default_factory is MISSING else entry.default_factory()


def _made(config: type) -> Any:
    """The settings at their defaults; None where a key has none."""
    required = any(_default(entry) is REQUIRED for entry in _entries(config))
    return None if required else config()


def _meanings(config: type) -> dict[str, str]:
    """The docstring under each field, those of base classes included."""
    found: dict[str, str] = {}
    for kind in reversed(config.__mro__[:-1]):
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
        body = cast(ast.ClassDef, tree.body[0]).body
        for node, below in pairwise(body):
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[node.target.id] = " ".join(_plain(str(below.value.value)).split())
    return found


def _first_line(config: type | None) -> str:
    text = inspect.getdoc(config) if config else ""
    return _plain(" ".join((text or "").partition("\n\n")[0].split()))


def _plain(text: str) -> str:
    """Markdown of a docstring: single backticks, and names in the place of references."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def _type_words(hint: Any) -> str:
    """An annotation in words: ``list of whole numbers``, ``number or null``."""
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if get_origin(hint) is tuple:
        if parts[-1] is ...:
            return f"list of {_several(parts[0])}"
        return f"list of {len(parts)} {_several(parts[0])}"
    if get_origin(hint) is dict:
        if get_origin(parts[1]) is dict:
            return "values by name and key"
        by = "epoch" if parts[0] is int else "name"
        return f"{_type_words(parts[1])} by {by}"
    if parts:
        rest = [_type_words(part) for part in parts if part is not NoneType]
        return " or ".join([*rest, "null"] if NoneType in parts else rest)
    if hint is Any:
        return "value"
    return WORDS.get(hint, "settings")


def _several(hint: Any) -> str:
    words = _type_words(hint)
    return f"{words}s" if hint in (int, float, str) else words
