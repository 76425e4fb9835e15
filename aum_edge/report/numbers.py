"""Numbers as people read them; a value that is not known is an en dash."""

from __future__ import annotations

import math

UNKNOWN = "–"


def whole(value: float | None) -> str:
    """1234567 as ``1,234,567``."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """1234567 as ``1.23 M``: three digits."""
    if value is None:
        return UNKNOWN
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{_digits(value / size)} {prefix}"
    return f"{value:,.0f}"


def rounded(value: float | None) -> str:
    """30000000 as ``30 M``, 0.5 as ``0.5``: for limits and axes, without zeros that say nothing."""
    if value is None:
        return UNKNOWN
    if abs(value) < 100 and value != round(value):
        return f"{value:.3g}"
    head, _, prefix = short(value).partition(" ")
    head = head.rstrip("0").rstrip(".") if "." in head else head
    return f"{head} {prefix}".strip()


def macs(value: float | None) -> str:
    """30000000 as ``30 M MACs``."""
    return UNKNOWN if value is None else f"{rounded(value)} MACs"


def size(value: float | None) -> str:
    """61148 as ``61.1 kB``, 1 kB being 1000 bytes."""
    if value is None:
        return UNKNOWN
    text = short(value)
    return f"{text}B" if text[-1].isalpha() else f"{text} B"


def percent(value: float | None) -> str:
    """0.7413 as ``74.1``; the sign stands in the column's head."""
    return UNKNOWN if value is None else f"{100 * value:.1f}"


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with a fixed count of decimals."""
    return UNKNOWN if value is None else f"{value:,.{digits}f}"


def milliseconds(value: float | None) -> str:
    """Three digits, at most three decimals: ``0.146``, ``1.52``, ``12.3``."""
    if value is None:
        return UNKNOWN
    return f"{value:.3f}" if abs(value) < 0.9995 else _digits(value)


def times(value: float | None) -> str:
    """A ratio: ``1.43 ×``."""
    if value is None:
        return UNKNOWN
    return f"{_digits(value)} ×"


def tiny(value: float | None) -> str:
    """A difference near zero: ``3.1e-06``."""
    return UNKNOWN if value is None else f"{value:.1e}"


def speed(real_time_factor: float | None) -> str:
    """Seconds of audio for each second of computing: 6.3e-04 as ``1,600``, two digits."""
    if not real_time_factor:
        return UNKNOWN
    value = float(f"{1 / real_time_factor:.2g}")
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def nats(value: float) -> str:
    """A divergence in two digits: ``0.00037`` or ``2e-05``."""
    return f"{value:.2g}"


def duration(seconds: float | None) -> str:
    """Seconds as ``42 s``, ``3 min 10 s`` or ``1 h 05 min``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.1f} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"


def interval(accuracy: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of ``n`` independent clips."""
    if n < 1:
        return 0.0, 1.0
    z = 1.96
    middle = (accuracy + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(accuracy * (1 - accuracy) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _digits(value: float) -> str:
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"
