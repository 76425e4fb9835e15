"""Checks of settings: each refuses a value in one line that names its key in the recipe."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

from aum_edge.errors import RecipeError


def check(ok: bool, message: str) -> None:
    """Raise ``message`` unless ``ok``; for what none of the others says."""
    if not ok:
        raise RecipeError(message)


def require(ok: bool, name: str, allowed: str, value: Any) -> None:
    """Refuse a value that is not ``allowed``, in the words of the message."""
    check(ok, f"`{name}` must be {allowed}, got {value}.")


def check_words(group: str, config: Any) -> None:
    """Check the Literal fields of a dataclass against their allowed words.

    Also where a config is made in Python, past the recipe's parser.
    """
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal:
            value, allowed = getattr(config, name), get_args(hint)
            require(value in allowed, f"{group}.{name}", " or ".join(allowed), value)


def at_least(name: str, value: int, least: int) -> None:
    """Refuse a count below ``least``."""
    if value < least:
        raise RecipeError(f"`{name}` must be at least {least}, got {value}.")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among ``allowed``."""
    if value not in allowed:
        raise RecipeError(f"`{name}` must be one of {', '.join(allowed)}; got '{value}'.")


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside [``low``, ``high``]."""
    if not low <= value <= high:
        raise RecipeError(f"`{name}` must lie between {low} and {high}, got {value}.")


def above(name: str, value: float, bound: float) -> None:
    """Refuse a number that is not finite and above ``bound``."""
    if not bound < value < float("inf"):
        raise RecipeError(f"`{name}` must be above {bound}, got {value}.")


def share(name: str, value: float) -> None:
    """Refuse a number that is no share between 0 and 1, both left out."""
    if not 0 < value < 1:
        raise RecipeError(f"`{name}` must lie between 0 and 1, got {value}.")
