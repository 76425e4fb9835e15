from __future__ import annotations

import re
from itertools import combinations

import pytest
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from aum_edge.report.plots import pareto as module
from aum_edge.report.plots.pareto import Point, pareto


def drawn(points: list[Point], limit: float | None, monkeypatch: pytest.MonkeyPatch) -> Figure:
    figures: list[Figure] = []
    original = module.svg

    def keep(figure: Figure, what: str) -> Markup:
        figures.append(figure)
        return original(figure, what)

    monkeypatch.setattr(module, "svg", keep)
    pareto(points, limit, "MACs", "what")
    return figures[0]


def point(key: str, title: str, cost: float, accuracy: float) -> Point:
    interval = (accuracy - 0.6, accuracy + 0.6)
    return Point(key=key, title=title, cost=cost, accuracy=accuracy, interval=interval)


def test_labels_touch_neither_each_other_nor_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        point("teacher", "Teacher", 1.3e9, 62.3),
        point("student_distilled", "Student, distilled", 4.9e6, 62.1),
        point("student_pruned", "Student, pruned", 2.38e6, 59.6),
        point("student_int8", "Student, int8", 2.38e6, 58.7),
        point("control", "CNN control", 29.4e6, 56.7),
    ]
    figure = drawn(points, 30e6, monkeypatch)
    axes = figure.axes[0]
    labels = [child for child in axes.get_children() if isinstance(child, Annotation)]
    assert len(labels) == len(points) + 1
    boxes = {label.get_text(): Text.get_window_extent(label) for label in labels}
    for (_, one), (_, other) in combinations(boxes.items(), 2):
        assert not one.overlaps(other)
    limit = axes.transData.transform((30e6, 0))[0]
    for box in boxes.values():
        assert not box.x0 < limit < box.x1
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1


def test_one_model_without_a_limit_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn([point("control", "Only", 100.0, 50.0)], None, monkeypatch)
    low, high = figure.axes[0].get_xlim()
    assert low < 100 < high


def test_a_model_that_costs_nothing_has_no_place_on_a_logarithmic_axis() -> None:
    text = pareto([point("a", "Free", 0.0, 50.0), point("b", "Paid", 10.0, 50.0)], None, "B", "x")
    assert "Paid" in text
    assert not re.search(r">Free<", text)
