"""Counting the points of a space."""

from __future__ import annotations

from aum_edge.search.space.dimensions import read_space
from aum_edge.search.space.points import MOST, all_points, key_of, used_up


def test_conditions_are_counted() -> None:
    dimensions = read_space(
        {
            "head_dim": {"choices": [8, 16], "when": {"mixer": "ssd"}},
            "mixer": {"choices": ["ssd", "none"]},
            "depth": {"low": 1, "high": 5, "step": 2},
        }
    )
    points = all_points(dimensions)
    assert points is not None
    assert len(points) == 3 * (2 + 1)
    assert key_of({"depth": 5, "mixer": "none"}) in points
    assert key_of({"head_dim": 8, "depth": 3, "mixer": "ssd"}) in points
    assert key_of({"head_dim": 8, "depth": 3, "mixer": "none"}) not in points


def test_a_range_without_steps_is_never_used_up() -> None:
    assert all_points(read_space({"train.lr": {"low": 0.1, "high": 0.2}})) is None
    assert all_points(read_space({"d_model": {"low": 1, "high": MOST + 1}})) is None
    assert not used_up(None, [])


def test_steps_are_the_same_however_added_up() -> None:
    points = all_points(read_space({"dropout": {"low": 0.1, "high": 0.3, "step": 0.1}}))
    assert used_up(points, [{"dropout": value} for value in (0.1, 0.2, 0.1 + 0.2)])
    assert not used_up(points, [{"dropout": value} for value in (0.1, 0.2)])
