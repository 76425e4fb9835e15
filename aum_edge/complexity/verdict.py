"""The verdict on one model: every figure compared with its limit, by both counts.

Figures are compared with limits here and nowhere else, and every text that says inside, over or
not known is made here: for the command line, reports, model cards, submissions, searches and
comparisons. A figure that is not known is never inside and never over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aum_edge.complexity.limits import Figure, Limits

Count = Literal["exact", "official"]
State = Literal["inside", "over", "unknown"]
COUNTS: tuple[Count, ...] = ("exact", "official")
WORDS: dict[State, str] = {"inside": "inside", "over": "over", "unknown": "not known"}
MARKS: dict[State, str] = {"inside": "✓", "over": "✗", "unknown": "?"}
UNITS: dict[Figure, str] = {"macs": "MACs", "param_bytes": "bytes", "n_params": "parameters"}
WITHIN: dict[State, bool | None] = {"inside": True, "over": False, "unknown": None}
"""A state as the JSON documents write it."""


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """One limited figure by one count."""

    count: Count
    what: Figure
    value: float | None
    """``None`` where this count does not give the figure."""
    limit: float
    lower_bound: bool = False
    """The true value may be higher: an operator has no rule, or a size is open."""

    @property
    def state(self) -> State:
        """A lower bound can be over; it is never inside."""
        if self.value is not None and self.value > self.limit:
            return "over"
        return "unknown" if self.value is None or self.lower_bound else "inside"

    @property
    def share(self) -> float | None:
        """The value by its limit; ``None`` where it is not known."""
        return None if self.value is None else self.value / self.limit

    @property
    def figure(self) -> str:
        """``63,480 of 128,000 bytes``: whole, so that no rounding hides an excess."""
        unit, limit = UNITS[self.what], exactly(self.limit)
        if self.value is None:
            return f"{unit} not counted, limit {limit}"
        least = "at least " if self.lower_bound else ""
        return f"{least}{exactly(self.value)} of {limit} {unit}"

    @property
    def excess(self) -> str:
        """``3.3 % too many``; empty unless it is over."""
        if self.state != "over" or self.share is None:
            return ""
        return f"{excess(self.share - 1)} too many"

    @property
    def brief(self) -> tuple[str, str]:
        """Value and limit as ``63.5 kB`` and ``128 kB``; ``–`` is not known.

        Three digits, or as many more as it takes to show which of the two is larger.
        """
        unit = "B" if self.what == "param_bytes" else ""
        if self.value is None:
            return "–", _scaled(self.limit, 3, unit)[0]
        value, limit = self.value, self.limit
        for digits in range(3, 17):
            (first, a), (second, b) = _scaled(value, digits, unit), _scaled(limit, digits, unit)
            if (a > b, a < b) == (value > limit, value < limit):
                return first, second
        return exactly(value), exactly(limit)

    @property
    def percent_of_limit(self) -> str:
        """``50 %``, from ten times on ``12.3 ×``; 100 % is the limit itself alone."""
        return "not counted" if self.share is None else _share(self.share)

    @property
    def of_limit(self) -> str:
        """``50 % of the limit``, ``12.3 × the limit`` or ``not counted``."""
        text = self.percent_of_limit
        if text.endswith("×"):
            return f"{text} the limit"
        return text if self.share is None else f"{text} of the limit"

    def __str__(self) -> str:
        return f"{self.figure}, {self.excess}" if self.excess else self.figure

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "count": self.count,
            "what": self.what,
            "value": self.value,
            "limit": self.limit,
            "state": self.state,
        }


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Inside, over or not known: a row for every limited figure of every count.

    ``str()`` gives the sentences. It has no truth value: ask for ``inside`` or ``state``.
    """

    limits: str
    """Name of the limits."""
    counts: tuple[Count, ...]
    """The counts that were made, or tried."""
    rows: tuple[VerdictRow, ...]
    incomplete: frozenset[Count] = frozenset()
    """Counts that miss something; they can be over and are never inside."""

    @property
    def state(self) -> State:
        """By all counts together: over if one is, inside only if every one is."""
        return worst(self.state_by(count) for count in self.counts)

    @property
    def inside(self) -> bool:
        """Whether every limited figure is known and within its limit, by every count."""
        return self.state == "inside"

    @property
    def within(self) -> bool | None:
        """The state as the JSON documents write it; ``None`` is not known."""
        return WITHIN[self.state]

    @property
    def over(self) -> tuple[VerdictRow, ...]:
        """The rows that are over their limit."""
        return tuple(row for row in self.rows if row.state == "over")

    def state_by(self, count: Count) -> State:
        """By one count."""
        found = worst(row.state for row in self.rows_of(count))
        return "unknown" if found == "inside" and count in self.incomplete else found

    def rows_of(self, count: Count) -> list[VerdictRow]:
        """The limited figures of one count."""
        return [row for row in self.rows if row.count == count]

    def headline(self, title: str) -> str:
        """One sentence without figures and full stop: ``Student is inside the x limits``."""
        if not self.rows:
            return f"{title}: no limits were set"
        return _sentence(title, self.limits, self.state)

    def lines(self, title: str) -> list[str]:
        """One sentence a count with every limited figure; none where nothing is limited."""
        return [self.line(title, count) for count in self.counts if self.rows_of(count)]

    def line(self, title: str, count: Count) -> str:
        """The sentence of one count."""
        rows = "; ".join(map(str, self.rows_of(count)))
        start = _sentence(title, self.limits, self.state_by(count))
        return f"{start} by the {count} count: {rows}."

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        rows = [row.to_dict() for row in self.rows]
        return {"limits": self.limits, "state": self.state, "rows": rows}

    def __str__(self) -> str:
        return "\n".join(self.lines("The model") or [f"{self.headline('The model')}."])

    def __bool__(self) -> bool:
        """Refused: that a verdict exists would read as one that is inside.

        Raises:
            TypeError: Always.
        """
        raise TypeError("A verdict is neither true nor false: ask for `.inside` or `.state`.")


def verdict_of(
    limits: Limits,
    figures: Mapping[Count, Mapping[str, float | None]],
    lower_bound: bool = False,
) -> Verdict:
    """Compare figures with limits.

    Args:
        limits: Figures without a limit get no row.
        figures: By count, then ``macs``, ``param_bytes`` and ``n_params``; missing is not known.
        lower_bound: The exact MACs may be higher than counted.
    """
    rows = tuple(
        VerdictRow(
            count=count,
            what=what,
            value=values.get(what),
            limit=limit,
            lower_bound=lower_bound and (count, what) == ("exact", "macs"),
        )
        for count, values in figures.items()
        for what, limit in limits.figures.items()
        if limit is not None
    )
    missing = {c for c, values in figures.items() if all(values.get(w) is None for w in UNITS)}
    return Verdict(
        limits=limits.name,
        counts=tuple(figures),
        rows=rows,
        incomplete=frozenset(missing | ({"exact"} if lower_bound else set())),
    )


def verdict_of_document(counted: Mapping[str, Any], limits: Mapping[str, Any]) -> Verdict:
    """The verdict on a ``complexity --json`` document, against limits as a document has them."""
    made = Limits(
        name=str(limits["name"]),
        macs=limits.get("macs"),
        param_bytes=limits.get("param_bytes"),
        params=limits.get("n_params", limits.get("params")),
    )
    lower_bound = bool(counted.get("unsupported") or counted.get("open_axes"))
    figures: dict[Count, Mapping[str, float | None]] = {name: counted[name] for name in COUNTS}
    return verdict_of(made, figures, lower_bound)


def worst(states: Iterable[State]) -> State:
    """Over if any is over, else unknown if any is, else inside; no state at all is inside."""
    found = set(states)
    return "over" if "over" in found else "unknown" if "unknown" in found else "inside"


def state_of(within: bool | None) -> State:
    """A state from the value that the JSON documents write for it."""
    return "unknown" if within is None else "inside" if within else "over"


def marked(state: State) -> str:
    """``✓ inside``, ``✗ over`` or ``? not known``, for tables and badges."""
    return f"{MARKS[state]} {WORDS[state]}"


def excess(share: float) -> str:
    """``3.3 %`` or ``120 %``, with as many digits as it takes not to read 0."""
    digits = 0 if share >= 1 else 1
    while share > 0 and float(f"{100 * share:.{digits}f}") == 0 and digits < 15:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def exactly(value: float) -> str:
    """``63,480``; a fraction keeps its decimals."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


def _sentence(title: str, limits: str, state: State) -> str:
    words = "not known to be inside" if state == "unknown" else WORDS[state]
    return f"{title} is {words} the {limits} limits"


def _share(share: float) -> str:
    """A part of a limit in percent, from ten times on as a multiple; 100 % is exactly that."""
    if 0 < share < 0.005:
        return "under 1 %"
    if share >= 10:
        return f"{share:,.0f} ×" if share >= 99.5 else f"{share:.1f} ×"
    digits = 0
    while share != 1 and float(f"{100 * share:.{digits}f}") == 100 and digits < 13:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def _scaled(value: float, digits: int, unit: str) -> tuple[str, float]:
    """A number with so many digits and a prefix, and the value of that text."""
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size * (1 - 0.5 * 10**-digits):
            head = f"{value / size:.{digits}g}"
            return f"{head} {prefix}{unit}", float(head) * size
    return f"{exactly(value)} {unit}".strip(), value
