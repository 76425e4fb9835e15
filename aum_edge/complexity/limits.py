"""Limits are data: presets by challenge year (limits.yaml), or a YAML file of one's own."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from aum_edge.errors import RecipeError

Rule = Literal["torchinfo", "nessi", "nonzero"]
NUMBERS = ("macs", "param_bytes", "params", "clip_seconds")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one input may cost; ``None`` is no limit."""

    name: str
    macs: float | None = None
    param_bytes: float | None = None
    params: float | None = None
    rule: Rule = "torchinfo"
    """Whose counting is the official one."""
    clip_seconds: float = 1.0
    """Seconds of audio of one input."""
    note: str = ""


@cache
def presets() -> dict[str, Limits]:
    """Every preset by its name."""
    text = files("aum_edge.complexity").joinpath("limits.yaml").read_text(encoding="utf-8")
    return {name: Limits(name=name, **values) for name, values in yaml.safe_load(text).items()}


def get_limits(name: str) -> Limits:
    """A preset, or a YAML file with the fields of :class:`Limits`.

    Raises:
        RecipeError: If there is no such preset or file, or the file holds other keys or values.
    """
    known = presets()
    if name in known:
        return known[name]
    path = Path(name)
    if not path.is_file():
        raise RecipeError(f"There are no limits `{name}`: give {', '.join(known)}, or a file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold `key: value` lines such as `macs: 30e6`.")
    return _checked(path, {"name": path.stem} | values)


def _checked(path: Path, values: dict[str, Any]) -> Limits:
    allowed = [field.name for field in fields(Limits)]
    unknown = [key for key in values if key not in allowed]
    if unknown:
        raise RecipeError(f"{path}: there is no `{unknown[0]}`; allowed are {', '.join(allowed)}.")
    for key in NUMBERS:
        value = values.get(key)
        # YAML reads 30e6 as a text.
        number = _number(value) if isinstance(value, str) else value
        if number is None and value is None:
            continue
        real = isinstance(number, int | float) and not isinstance(number, bool)
        if not real or number is None or not 0 < number < float("inf"):
            raise RecipeError(f"{path}: `{key}` must be a number above 0, got {value!r}.")
        values[key] = number
    if values.get("rule", "torchinfo") not in get_args(Rule):
        raise RecipeError(
            f"{path}: `rule` must be one of {', '.join(get_args(Rule))}, got {values['rule']!r}."
        )
    return Limits(**values | {"name": str(values["name"]), "note": str(values.get("note", ""))})


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
