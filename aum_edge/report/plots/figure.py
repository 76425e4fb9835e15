"""matplotlib figures as inline SVG whose colours and fonts are the page's, light or dark."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from aum_edge.report.numbers import rounded
from aum_edge.report.palette import model_look
from aum_edge.report.text import clean

# Each colour of the page has a stand-in that no chart uses otherwise; `svg` puts the page's
# variable in its place, so that one picture serves light, dark and print.
INK, MUTED, GRID, PAPER = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
FINAL, CONTROL, TEACHER, DISTILLED, PRUNED, LIMIT = (f"#0b000{index}" for index in range(1, 7))
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "line",
    PAPER: "card",
    FINAL: "final",
    CONTROL: "control",
    TEACHER: "teacher",
    DISTILLED: "distilled",
    PRUNED: "pruned",
    LIMIT: "over",
}
STAND_INS = {name: stand_in for stand_in, name in VARIABLES.items()}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 13.0,
    "font.family": ["DejaVu Sans"],
    "axes.titlesize": 13.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.titlecolor": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 12.5,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 12.5,
    "lines.linewidth": 2.0,
    "patch.linewidth": 0.0,
}
WIDTH = 6.6
"""Inches of 72 units; the page shows a unit as a pixel where it has the room."""


@dataclass(frozen=True)
class Picture:
    """A drawing for the page and the caption above it."""

    caption: str
    drawing: Markup


@contextmanager
def house_style(name: str) -> Iterator[None]:
    """Draw and save within: the page's look, and ids that no other picture of the page has."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The browser has the glyphs of labels that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def new_axes(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of one pair of axes, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def role(key: str, index: int = 0) -> tuple[str, str]:
    """Colour and marker of a model: the same on every picture, told apart without colour too."""
    name, marker = model_look(key, index)
    return STAND_INS[name], marker


def log_ticks(axes: Axes) -> None:
    """Ticks of a logarithmic x axis that is final: powers of ten, and more where there are few."""
    low, high = axes.get_xlim()
    steps = (1.0,) if math.log10(high / low) > 2.6 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: rounded(value)))


def svg(figure: Figure, description: str) -> Markup:
    """The figure as an inline SVG element with a description for those who cannot see it."""
    buffer = io.StringIO()
    blank = {"Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", metadata=blank)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'style="[^"]*"', lambda match: _themed(match.group()), text)
    text = re.sub(r"\s*\n\s*", " ", text)
    opening = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    width = opening.group(1) if opening else "432"
    view = opening.group() if opening else ""
    label = escape(clean(description))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view}'
        f' role="img" aria-label="{label}" style="max-width: {float(width):.0f}px">'
    )
    return Markup(head + text[text.index(">") + 1 :])


def _themed(style: str) -> str:
    for stand_in, name in VARIABLES.items():
        style = style.replace(stand_in, f"var(--{name})")
    return re.sub(r"font-family: [^;\"]*;? ?", "", style)
