"""Reading recipes strictly: YAML and ``--set`` texts to dataclasses; nothing in them is run."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass, make_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from aum_edge.audio.augment.config import AugmentConfig
from aum_edge.audio.augment.registry import augmentations
from aum_edge.data.config import DataConfig
from aum_edge.data.corpora.registry import corpus_class
from aum_edge.data.flat_settings import nest, without_other_corpora
from aum_edge.errors import RecipeError
from aum_edge.pipeline.recipe import Recipe

PROGRAMS = {"class_path", "init_args", "dict_kwargs", "__path__", "__default_config__", "__orig__"}
"""Keys by which jsonargparse imports and runs whatever a file names."""
LOADERS = (yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


class Named(Protocol):
    """What every kind of recipe has."""

    @property
    def name(self) -> str:
        """Of the run, and of its folder."""


AnyRecipe = TypeVar("AnyRecipe", bound=Named)
Made = TypeVar("Made")
Reader = Callable[[type, Any, str, str], Any]
"""Reads a dataclass of plain values strictly: its type, the values, the recipe, the key."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read the recipe of a run; see :func:`load_recipe_as`."""
    return load_recipe_as(Recipe, path, overrides)


def load_recipe_as(kind: type[AnyRecipe], path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe of some kind; ``overrides`` are ``a.b=value`` texts that win over the file.

    ``kind`` is a dataclass with a ``name``. Relative data folders are taken from the folder the
    command runs in.

    Raises:
        RecipeError: A missing file, broken YAML, an unknown key or a value of the wrong type.
    """
    if not path.is_file():
        raise RecipeError(f"There is no recipe {path}: give a YAML file, as recipes/*.yaml are.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold `key: value` lines, got {type(values).__name__}.")
    values = _changed(values, overrides, str(path))
    recipe = _parse(kind, values, str(path))
    if not re.fullmatch(r"[\w.-]+", recipe.name):
        raise RecipeError(
            f"{path}: `name` may hold letters, digits, '.', '_' and '-', got '{recipe.name}'."
        )
    return recipe


def _registered(kind: type[Made], own: Any, source: str, path: str) -> Made:
    """A registered part of a recipe by its settings."""
    if not isinstance(own, dict):
        raise RecipeError(f"{source}: `{path}` holds settings of its own, got {own!r}.")
    _check_keys(own, kind, source, f"{path}.")
    # The parser reads types of plain dataclasses alone, and these have a base class. What is not
    # given stays out, for their own defaults.
    hints = get_type_hints(kind)
    given = make_dataclass("Given", [(name, hints[name]) for name in own])
    typed = vars(_instance(given, own, source, path)) if own else {}
    try:
        return kind(**typed)
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from error


def _place(values: dict[str, Any], key: str, text: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.get(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"`--set {text}`: `{parent}` is a value and has no settings.")
        # A copy: by a YAML alias the same mapping may stand in other places too.
        values[parent] = dict(inner)
        values = values[parent]
    values[last] = value


def settings_as(kind: type[Made], changes: Sequence[str]) -> Made:
    """A config of some kind from its defaults and ``a.b=value`` texts.

    Raises:
        RecipeError: An unknown key, or a value of the wrong type or outside of what is allowed.
    """
    return _parse(kind, _changed({}, changes, "--set"), "--set")


def _changed(values: dict[str, Any], changes: Sequence[str], source: str) -> dict[str, Any]:
    """The values with ``a.b=value`` texts in their places."""
    nest_data(values, source)
    for text in changes:
        key, mark, value = text.partition("=")
        if not mark or not key:
            raise RecipeError(f"`--set {text}` must read key=value, for example seed=3.")
        try:
            _place(values, key, text, yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise RecipeError(f"`--set {text}` is not YAML: {_one_line(str(error))}") from error
    nest_data(values, source, later=True)
    return values


def _parse(kind: type[Made], values: dict[str, Any], source: str) -> Made:
    """Values as a dataclass; nothing that they name is imported or run."""
    _refuse_programs(values, source)
    values = with_corpus_settings(values, source, _registered)
    values = with_augmentations(values, kind, source, _registered)
    _check_keys(values, kind, source)
    return _instance(kind, values, source)


def _refuse_programs(values: dict[str, Any], source: str) -> None:
    for name, _ in _inside(values):
        found = [key for key in name.split(".") if key in PROGRAMS]
        if found:
            raise RecipeError(
                f"{source}: `{name}` could have a program run, and a recipe holds values alone: "
                f"take `{found[0]}` out and give numbers, texts or lists."
            )


def _inside(held: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in dicts and lists under its dotted name; what stands there twice, once."""
    waiting, seen = [(path, held)], set()
    while waiting:
        name, value = waiting.pop(0)
        yield name, value
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        waiting += [(f"{name}.{key}".removeprefix("."), item) for key, item in entries]


def _instance(kind: type[Made], values: dict[str, Any], source: str, key: str = "") -> Made:
    """A dataclass of plain values, its types checked; ``key`` is where it stands in the recipe."""
    parser = ArgumentParser(exit_on_error=False)
    group = f"recipe.{key}" if key else "recipe"
    parser.add_class_arguments(kind, group)
    nested: Any = values
    for name in reversed(group.split(".")):
        nested = {name: nested}
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            made = parser.instantiate_classes(
                Namespace(recipe=parser.parse_object(nested, env=False).recipe)
            )
            return cast(Made, made[group])
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from error
    except (ArgumentError, TypeError, ValueError, KeyError) as error:
        raise RecipeError(f"{source}: {_one_line(str(error))}") from error


def _check_keys(values: dict[str, Any], kind: type, source: str, path: str = "") -> None:
    """Refuse a key that no dataclass field has, with the nearest one that exists."""
    hints = get_type_hints(kind)
    for key, value in values.items():
        name = f"{path}{key}"
        if key not in hints:
            near = get_close_matches(str(key), hints, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"allowed are {', '.join(hints)}."
            raise RecipeError(f"{source}: There is no key `{name}`; {hint}")
        if get_origin(hints[key]) is dict:
            _check_entries(value, hints[key], source, name)
            continue
        choices = [hint for hint in (hints[key], *get_args(hints[key])) if is_dataclass(hint)]
        optional = type(None) in get_args(hints[key])
        listed = isinstance(value, list) and Ellipsis in get_args(hints[key])
        for item in value if listed else [value]:
            if not choices or (optional and item is None):
                continue
            if not isinstance(item, dict):
                or_null = " or is null" if optional else ""
                raise RecipeError(
                    f"{source}: `{name}` holds settings of its own{or_null}, got {item!r}."
                )
            _check_keys(item, cast(type, choices[0]), source, f"{name}.")


def _check_entries(value: Any, hint: Any, source: str, name: str) -> None:
    """The same for settings that the recipe gives names of its own."""
    inner = get_args(hint)[1]
    if inner is Any or get_origin(inner) is dict:
        _check_texts(value, source, name)
    if not is_dataclass(inner):
        return
    if not isinstance(value, dict):
        raise RecipeError(f"{source}: `{name}` holds settings by name, got {value!r}.")
    for entry, settings in value.items():
        if not isinstance(settings, dict):
            raise RecipeError(
                f"{source}: `{name}.{entry}` holds settings of its own, got {settings!r}."
            )
        _check_keys(settings, cast(type, inner), source, f"{name}.{entry}.")


def _check_texts(settings: Any, source: str, name: str) -> None:
    """Refuse texts with YAML inside: where no type is known, jsonargparse reads them again."""
    for path, value in _inside(settings, name):
        if isinstance(value, str) and not _is_value(value):
            raise RecipeError(
                f"{source}: `{path}` must not be a text that is YAML itself, got {value[:80]!r}: "
                "write the values without the quotation marks around them."
            )


def _is_value(text: str) -> bool:
    """Whether every YAML reader finds nothing but one value in the text, and no mapping."""
    if not set(text) & set("{?:"):
        return True
    try:
        nodes = [yaml.compose(text, loader) for loader in LOADERS]
    except yaml.YAMLError:
        return False
    return all(isinstance(n, yaml.ScalarNode) and n.value == text.strip() for n in nodes)


def _one_line(text: str) -> str:
    """The parser's message in one line, in the recipe's own key names and plain types."""
    text = " ".join(text.split()).replace("recipe.", "")
    # A setting that may be null: the first complaint is about the value, the second about null.
    text = re.sub(r"Does not validate against any .*? Errors: - (.*?) - Expected a .*", r"\1", text)
    text = re.sub(r"Problem with given class_path '[^']+': ", "", text)
    text = re.sub(r'Parser key "([^"]+)":', r"`\1`:", text)
    text = re.sub(r"<class '(\w+)'>", r"\1", text)
    text = re.sub(r"typing\.Literal\[([^\]]+)\]", r"value of \1", text)
    return re.sub(r"Got value: (.*)", r"Got \1.", text)[:500]


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
    # Their files import torch: only where one is named.
    known = augmentations() if kind is AugmentConfig and made.keys() - hints.keys() else {}
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
