"""The top of the page: inside or over the limits, by both counts, in words, tiles and bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aum_edge.report.html.render import Section
from aum_edge.report.numbers import interval, milliseconds, percent, rounded, short, size, times
from aum_edge.report.palette import model_colour
from aum_edge.report.schema import Model
from aum_edge.report.view import ReportView

LIMIT_AT = 80.0
"""Where on a bar's track the limit stands, in percent; beyond 100 the bar is cut."""


@dataclass(frozen=True)
class Badge:
    """A word in a coloured field; ``state`` is inside, over or empty."""

    text: str
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One value on a track; ``width`` and ``limit_at`` are percent of the track, as texts."""

    name: str
    value: str
    remark: str
    width: str
    over: bool
    limit_at: str = ""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The bars of one model against the limits."""

    title: str
    colour: str
    badge: Badge
    bars: Sequence[Bar]


def verdict_section(facts: ReportView) -> Section:
    """Headline, badges, the lines of the verdict, tiles, and bars against the limits."""
    report, limits = facts.report, facts.report["limits"]
    within = report["verdict"]["within"]
    word = "✓ {} is inside the {} limits" if within else "✗ {} is over the {} limits"
    headline = word.format(facts.final["title"], limits["name"])
    badges = [_badge(facts.final, count) for count in ("exact", "official")]
    budgets = [_budget(facts, model) for model in (facts.final, facts.control) if model]
    if limits["macs"] is None and limits["param_bytes"] is None:
        headline, badges, budgets = f"{facts.final['title']}: no limits were set", [], []
    values = {
        "badges": badges,
        "lines": report["verdict"]["lines"],
        "tiles": _tiles(facts),
        "budgets": budgets,
    }
    css_class = "verdict" if within else "verdict over"
    return Section("report/verdict", "verdict", headline, values, css_class)


def inside_limits(model: Model) -> dict[str, bool | None]:
    """By the exact and by the official count; ``None`` where there is no count."""
    within = model["complexity"]["within_limits"]
    return {"exact": within["exact"], "official": within["official"]}


def _badge(model: Model, count: str) -> Badge:
    inside = inside_limits(model)[count]
    if inside is None:
        return Badge(f"no {count} count")
    text = f"✓ inside by the {count} count" if inside else f"✗ over by the {count} count"
    return Badge(text, "inside" if inside else "over")


def _tiles(facts: ReportView) -> list[tuple[str, str, str]]:
    """Name, value and remark of each."""
    final, limits = facts.final, facts.report["limits"]
    exact = final["complexity"]["exact"]
    rows = [
        ("Test accuracy", f"{percent(final['eval']['accuracy'])} %", _differences(facts)),
        (
            "Parameters",
            size(exact["param_bytes"]),
            _share(exact["param_bytes"], limits["param_bytes"]),
        ),
        ("MACs, exact", short(exact["macs"]), _share(exact["macs"], limits["macs"])),
    ]
    row = facts.latency(final["key"])
    if row:
        ratio = facts.ratio(row)
        beside = f"{times(ratio)} the control" if ratio and facts.control else "median, one clip"
        rows.append(("Latency", f"{milliseconds(row['p50_ms'])} ms", beside))
    return rows


def _differences(facts: ReportView) -> str:
    own = facts.final["eval"]["accuracy"]
    others = [("teacher", facts.teacher), ("control", facts.control)]
    parts = [
        f"{100 * (own - model['eval']['accuracy']):+.1f} to {name}".replace("-", "−")
        for name, model in others
        if model
    ]
    if facts.control and _at_chance(facts.control, len(facts.report["corpus"]["labels"])):
        parts[-1] += " (at chance)"
    return ", ".join(parts) or f"{facts.final['eval']['n']} clips"


def _at_chance(model: Model, classes: int) -> bool:
    """Whether the interval of its accuracy reaches down to that of a guess."""
    scores = model["eval"]
    return interval(scores["accuracy"], int(scores["n"]))[0] <= 1 / max(1, classes)


def _share(value: float | None, limit: float | None) -> str:
    if value is None:
        return "not counted"
    if not limit:
        return "no limit"
    share = value / limit
    return f"{_percent(share)} of the limit" if share < 10 else f"{times(share)} the limit"


def _percent(share: float) -> str:
    if 0 < share < 0.005:
        return "under 1 %"
    return f"{100 * share:.0f} %" if share < 10 else times(share)


def _budget(facts: ReportView, model: Model) -> Budget:
    counted, limits = model["complexity"], facts.report["limits"]
    inside = all(value is not False for value in inside_limits(model).values())
    badge = Badge("✓ inside", "inside") if inside else Badge("✗ over", "over")
    exact, official = counted["exact"], counted["official"]
    bars = [
        _bar("Bytes, exact", exact["param_bytes"], limits["param_bytes"], size),
        _bar("Bytes, official", official["param_bytes"], limits["param_bytes"], size),
        _bar("MACs, exact", exact["macs"], limits["macs"], rounded),
        _bar("MACs, official", official["macs"], limits["macs"], rounded),
    ]
    colour = model_colour(model["key"])
    return Budget(title=model["title"], colour=colour, badge=badge, bars=bars)


def _bar(
    name: str, value: float | None, limit: float | None, text: Callable[[float | None], str]
) -> Bar:
    """One value on a track whose limit always stands at the same place."""
    share = value / limit if value is not None and limit else 0.0
    remark = f"of {text(limit)}, {_percent(share)}" if limit else "no limit"
    return Bar(
        name=name,
        value=text(value),
        remark="not counted" if value is None else remark,
        width=f"{min(100.0, LIMIT_AT * share):.1f}",
        over=share > 1,
        limit_at=f"{LIMIT_AT:.0f}" if limit else "",
    )
