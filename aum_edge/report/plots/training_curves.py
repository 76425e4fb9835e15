"""Training curves: accuracy or loss by epoch, one colour a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from aum_edge.report.plots.figure import house_style, new_axes, role, svg
from aum_edge.report.plots.legend import model_legend, plain_frame
from aum_edge.report.schema import Model


def curves(models: Sequence[Model], fields: Mapping[str, str], axis: str, what: str) -> Markup:
    """Training curves by epoch: one colour a model; ``fields`` gives each value's line style."""
    with house_style("-".join(fields)):
        figure, axes = new_axes(3.6)
        for index, model in enumerate(models):
            color, marker = role(model["key"], index)
            for field, line in fields.items():
                points = history(model, field)
                every = max(1, len(points) // 8)
                axes.plot(
                    [x for x, _ in points],
                    [100 * y if axis.endswith("%") else y for _, y in points],
                    line,
                    color=color,
                    marker=marker if line == "-" else None,
                    markevery=every,
                    markersize=5,
                    linewidth=1.8,
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel(axis)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        plain_frame(axes, "y")
        model_legend(figure, models, lines=True)
        return svg(figure, what)


def history(model: Model, field: str) -> list[tuple[float, float]]:
    """Epoch and value wherever the training wrote both down."""
    rows: list[dict[str, Any]] = model.get("history", [])
    found = [(row.get("epoch", index), row.get(field)) for index, row in enumerate(rows)]
    return [
        (float(epoch), float(value))
        for epoch, value in found
        if isinstance(epoch, int | float) and isinstance(value, int | float)
    ]
