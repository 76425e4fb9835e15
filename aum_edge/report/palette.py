"""Colours by name, and the colour and marker of each model: the page and the plots share them."""

from __future__ import annotations

LIGHT = {
    "page": "#f5f7f9",
    "card": "#ffffff",
    "ink": "#1b2127",
    "muted": "#5a6772",
    "line": "#dde3e8",
    "final": "#0072b2",
    "control": "#d98e00",
    "teacher": "#00815f",
    "distilled": "#4aa3d8",
    "pruned": "#b85f93",
    "over": "#b3261e",
    "inside": "#14733f",
    "over-soft": "#fcebe9",
    "inside-soft": "#e6f4ec",
}
"""Light screens and paper. The style sheet has each as a variable: ``final`` is ``--final``."""
DARK = {
    "page": "#11161a",
    "card": "#192026",
    "ink": "#e9edf0",
    "muted": "#9fabb5",
    "line": "#323d46",
    "final": "#62b5ea",
    "control": "#f2b33d",
    "teacher": "#45c39d",
    "distilled": "#a9d8f5",
    "pruned": "#e3a0c8",
    "over": "#ff8f85",
    "inside": "#62d49b",
    "over-soft": "#3a2020",
    "inside-soft": "#16322a",
}
MODELS = {
    "teacher": ("teacher", "s"),
    "control": ("control", "D"),
    "student_distilled": ("distilled", "^"),
    "student_pruned": ("pruned", "v"),
    "student_int8": ("final", "o"),
}
"""Colour and matplotlib marker by model key: told apart without colour too."""
OTHERS = (("distilled", "P"), ("pruned", "X"), ("teacher", "p"))


def model_look(key: str, index: int = 0) -> tuple[str, str]:
    """Name of the colour, and marker, of a model; ``index`` tells models of other keys apart."""
    return MODELS.get(key, OTHERS[index % len(OTHERS)])


def model_colour(key: str, index: int = 0) -> str:
    """Name of a model's colour."""
    return model_look(key, index)[0]
