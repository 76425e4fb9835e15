"""The top of the page: inside or over, by both counts, in words, tiles and bars."""

from __future__ import annotations

from collections.abc import Callable

from aum_edge.report.html.markup import Markup, tag, words
from aum_edge.report.numbers import milliseconds, percent, rounded, short, size, times
from aum_edge.report.schema import Model
from aum_edge.report.tables.model_tables import colour
from aum_edge.report.view import ReportView

LIMIT_AT = 80.0
"""Where on a bar's track the limit stands, in percent; beyond 100 the bar is cut."""


def verdict_section(facts: ReportView) -> Markup:
    """Headline, badges, the lines of the verdict, tiles, and bars against the limits."""
    report, limits = facts.report, facts.report["limits"]
    within = report["verdict"]["within"]
    word = "✓ {} is inside the {} limits" if within else "✗ {} is over the {} limits"
    headline = word.format(facts.final["title"], limits["name"])
    parts = [tag("div", *[_badge(facts.final, n) for n in ("exact", "official")], class_="badges")]
    bars = _bars(facts)
    if limits["macs"] is None and limits["param_bytes"] is None:
        headline, parts, bars = f"{facts.final['title']}: no limits were set", [], []
    return tag(
        "section",
        tag("h2", headline),
        *parts,
        *[tag("p", line, class_="sub") for line in report["verdict"]["lines"]],
        tag("div", *_tiles(facts), class_="tiles"),
        *bars,
        id="verdict",
        class_="verdict" if within else "verdict over",
    )


def _bars(facts: ReportView) -> list[Markup]:
    models = [model for model in (facts.final, facts.control) if model]
    note = (
        "The red line is the limit; a striped bar is over it. "
        "1 kB is 1000 bytes, MACs are for one clip."
    )
    budgets = [_budget(facts, model) for model in models]
    return [tag("div", *budgets, class_="pair"), tag("p", note, class_="note")]


def inside_limits(model: Model) -> dict[str, bool | None]:
    """By the exact and by the official count; ``None`` where there is no count."""
    within = model["complexity"]["within_limits"]
    return {"exact": within["exact"], "official": within["official"]}


def _badge(model: Model, count: str) -> Markup:
    inside = inside_limits(model)[count]
    if inside is None:
        return tag("span", f"no {count} count", class_="badge")
    text = f"✓ inside by the {count} count" if inside else f"✗ over by the {count} count"
    return tag("span", text, class_="badge inside" if inside else "badge over")


def _tiles(facts: ReportView) -> list[Markup]:
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
    return [
        tag("div", tag("span", a), tag("b", b), tag("span", c), class_="tile") for a, b, c in rows
    ]


def _differences(facts: ReportView) -> str:
    own = facts.final["eval"]["accuracy"]
    others = [("teacher", facts.teacher), ("control", facts.control)]
    parts = [
        f"{100 * (own - model['eval']['accuracy']):+.1f} to {name}".replace("-", "−")
        for name, model in others
        if model
    ]
    return ", ".join(parts) or f"{facts.final['eval']['n']} clips"


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


def _budget(facts: ReportView, model: Model) -> Markup:
    counted, limits = model["complexity"], facts.report["limits"]
    inside = all(value is not False for value in inside_limits(model).values())
    badge = tag(
        "span",
        "✓ inside" if inside else "✗ over",
        class_="badge inside" if inside else "badge over",
    )
    exact, official = counted["exact"], counted["official"]
    bars = [
        _bar("Bytes, exact", exact["param_bytes"], limits["param_bytes"], size),
        _bar("Bytes, official", official["param_bytes"], limits["param_bytes"], size),
        _bar("MACs, exact", exact["macs"], limits["macs"], rounded),
        _bar("MACs, official", official["macs"], limits["macs"], rounded),
    ]
    return tag(
        "div",
        tag("h3", tag("i", class_="key"), model["title"], badge),
        *bars,
        class_="budget",
        style=colour(model["key"]),
    )


def _bar(
    name: str, value: float | None, limit: float | None, text: Callable[[float | None], str]
) -> Markup:
    """One value on a track whose limit always stands at the same place."""
    share = value / limit if value is not None and limit else 0.0
    width = min(100.0, LIMIT_AT * share)
    beside = f"of {text(limit)}, {_percent(share)}" if limit else "no limit"
    if value is None:
        beside = "not counted"
    line = [tag("u", style=f"left: {LIMIT_AT:.0f}%")] if limit else []
    track = tag(
        "div",
        tag("i", style=f"width: {width:.1f}%"),
        *line,
        class_="track over" if share > 1 else "track",
        role="img",
        aria_label=f"{name}: {text(value)} {beside}",
    )
    return tag(
        "div",
        tag("span", name),
        tag("span", words(tag("b", text(value)), beside), class_="value"),
        track,
        class_="bar",
    )
