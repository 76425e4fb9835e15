"""A student's settings with a trial's values in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from aum_edge.errors import RecipeError
from aum_edge.pipeline.recipe import StudentConfig
from aum_edge.search.space.dimensions import Params


def settings_of(base: StudentConfig, params: Params) -> StudentConfig:
    """The recipe's student with a trial's values in it.

    Raises:
        RecipeError: If a training value is not allowed.
    """
    model, training = dict(base.model.overrides), {}
    for name, value in params.items():
        head, _, rest = name.partition(".")
        if rest and head in ("train", "distill"):
            training[name] = value
        else:
            model[name] = value
    made: StudentConfig = _with(base, training)
    return replace(made, model=replace(base.model, overrides=model))


def _with(settings: Any, values: Mapping[str, Any]) -> Any:
    """A frozen dataclass with values deep inside changed, all at once: some go together."""
    known = {f.name for f in fields(settings)}
    changes: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, _, rest = path.partition(".")
        if name not in known:
            raise RecipeError(f"There is no `{name}`; there are {', '.join(sorted(known))}.")
        if rest:
            inner.setdefault(name, {})[rest] = value
        else:
            changes[name] = tuple(value) if isinstance(value, list) else value
    for name, deeper in inner.items():
        held = getattr(settings, name)
        if not is_dataclass(held):
            raise RecipeError(f"`{name}` has no settings of its own.")
        changes[name] = _with(held, deeper)
    return replace(settings, **changes)
