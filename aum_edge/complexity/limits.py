"""Limits on the cost of one input: presets by challenge year (limits.yaml), or a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from aum_edge.core.text import one_line
from aum_edge.errors import RecipeError

Rule = Literal["torchinfo", "nessi", "nonzero"]
Figure = Literal["macs", "param_bytes", "n_params"]
"""What can be limited, by its key in the JSON documents."""
NUMBERS = ("macs", "param_bytes", "params", "clip_seconds")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on the cost of one input; ``None`` is no limit.

    Raises:
        RecipeError: A limit that is no finite number above 0, or a rule that does not exist.
    """

    name: str
    macs: float | None = None
    param_bytes: float | None = None
    params: float | None = None
    rule: Rule = "torchinfo"
    """Whose counting is the official one."""
    clip_seconds: float = 1.0
    """Seconds of audio of one input."""
    note: str = ""

    def __post_init__(self) -> None:
        for key in NUMBERS:
            value = getattr(self, key)
            if value is None and key != "clip_seconds":
                continue
            real = isinstance(value, int | float) and not isinstance(value, bool)
            if not real or not 0 < value < float("inf"):
                raise RecipeError(f"`{key}` must be a number above 0, got {value!r}.")
        if self.rule not in get_args(Rule):
            allowed = ", ".join(get_args(Rule))
            raise RecipeError(f"`rule` must be one of {allowed}, got {self.rule!r}.")

    @property
    def figures(self) -> dict[Figure, float | None]:
        """The limit of each figure, by the names that the JSON documents use."""
        return {"macs": self.macs, "param_bytes": self.param_bytes, "n_params": self.params}


@cache
def presets() -> dict[str, Limits]:
    """Every preset by its name."""
    text = files("aum_edge.complexity").joinpath("limits.yaml").read_text(encoding="utf-8")
    return {name: Limits(name=name, **values) for name, values in yaml.safe_load(text).items()}


def get_limits(name: str | Path | Limits) -> Limits:
    """A preset, or a YAML file with the fields of :class:`Limits`; Limits stay as they are.

    Cost: reads a small file; torch is not imported.

    Raises:
        RecipeError: If there is no such preset or file, or the file holds other keys or values.
    """
    if isinstance(name, Limits):
        return name
    known = presets()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if not path.is_file():
        raise RecipeError(f"There are no limits `{name}`: give {', '.join(known)}, or a file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {one_line(error)}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path} must hold `key: value` lines such as `macs: 30e6`.")
    return _read(path, {"name": path.stem} | values)


def _read(path: Path, values: dict[str, Any]) -> Limits:
    allowed = [field.name for field in fields(Limits)]
    unknown = [key for key in values if key not in allowed]
    if unknown:
        raise RecipeError(f"{path}: there is no `{unknown[0]}`; allowed are {', '.join(allowed)}.")
    given = {key: _number(v) if key in NUMBERS else v for key, v in values.items()}
    if given.get("clip_seconds", 1) is None:
        del given["clip_seconds"]
    try:
        return Limits(**given | {"name": str(given["name"]), "note": str(given.get("note", ""))})
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _number(value: Any) -> Any:
    """YAML reads 30e6 as a text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
