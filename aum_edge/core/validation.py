"""Bounds of settings, refused in one line."""

from __future__ import annotations

from aum_edge.errors import RecipeError


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
