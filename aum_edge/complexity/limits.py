"""Limits are data: presets by challenge year, or a YAML file of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one clip of one second may cost; ``None`` is no limit."""

    name: str
    macs: float | None = None
    param_bytes: float | None = None
    note: str = ""


PRESETS = {
    limits.name: limits
    for limits in (
        Limits(name="dcase2021", param_bytes=128_000, note="non-zero parameters; 10 s clips"),
        Limits(name="dcase2022", macs=30e6, param_bytes=128_000, note="int8, all parameters"),
        Limits(name="dcase2023", macs=30e6, param_bytes=128_000),
        Limits(name="dcase2024", macs=30e6, param_bytes=128_000),
        Limits(name="dcase2025", macs=30e6, param_bytes=128_000, note="each device's own model"),
        Limits(name="none"),
    )
}


def get_limits(name: str) -> Limits:
    """A preset, or a YAML file with ``name``, ``macs`` and ``param_bytes``.

    Raises:
        RecipeError: If there is no such preset or file, or the file holds other keys.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        raise RecipeError(f"There are no limits `{name}`: give {', '.join(PRESETS)}, or a file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        limits = Limits(**({"name": path.stem} | values))
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path} must hold `name`, `macs` and `param_bytes`: {' '.join(str(error).split())}"
        ) from error
    for key in ("macs", "param_bytes"):
        value = getattr(limits, key)
        if value is not None and (isinstance(value, str) or not value > 0):
            raise RecipeError(f"{path}: `{key}` must be a number above 0, got {value!r}.")
    return limits
