from __future__ import annotations

import pytest

from aum_edge.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1.00 k"),
        (1_234, "1.23 k"),
        (12_345, "12.3 k"),
        (123_456, "123 k"),
        (999_960, "1.00 M"),
        (30e6, "30.0 M"),
        (1.31e9, "1.31 G"),
        (None, "–"),
    ],
)
def test_three_digits_and_a_prefix(value: float | None, text: str) -> None:
    assert numbers.short(value) == text


def test_limits_lose_empty_decimals_but_no_zeros_before_the_point() -> None:
    assert numbers.rounded(30e6) == "30 M"
    assert numbers.rounded(128_000) == "128 k"
    assert numbers.rounded(200_000) == "200 k"
    assert numbers.rounded(100) == "100"


@pytest.mark.parametrize(
    ("value", "text"), [(0.05, "0.05"), (0.5, "0.5"), (1.0, "1"), (2.5, "2.5"), (20.0, "20")]
)
def test_an_axis_below_one_is_labelled_truly(value: float, text: str) -> None:
    assert numbers.rounded(value) == text


@pytest.mark.parametrize(
    ("factor", "text"),
    [(6.3e-4, "1,600"), (0.0109, "92"), (0.4, "2.5"), (4.0, "0.2"), (None, "–"), (0.0, "–")],
)
def test_speed_is_told_in_times_real_time(factor: float | None, text: str) -> None:
    assert numbers.speed(factor) == text


def test_a_kilobyte_is_a_thousand_bytes() -> None:
    assert numbers.size(128_000) == "128 kB"
    assert numbers.size(520) == "520 B"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.94, "3.9 s"), (59.6, "1 min 00 s"), (190, "3 min 10 s"), (3_900, "1 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_wilson_interval_of_a_known_case() -> None:
    # 10 of 20: centre 0.5, half width 1.96 / (20 + 1.96²) · sqrt(20·0.25 + 1.96²/4).
    low, high = numbers.interval(0.5, 20)
    half = 1.96 / (20 + 1.96**2) * (20 * 0.25 + 1.96**2 / 4) ** 0.5
    assert low == pytest.approx(0.5 - half)
    assert high == pytest.approx(0.5 + half)
    assert numbers.interval(1.0, 10)[1] == pytest.approx(1.0)
    assert numbers.interval(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0294, "0.029"), (0.9996, "1.00"), (1.523, "1.52"), (12.34, "12.3"), (None, "–")],
)
def test_milliseconds_have_three_digits(value: float | None, text: str) -> None:
    assert numbers.milliseconds(value) == text
