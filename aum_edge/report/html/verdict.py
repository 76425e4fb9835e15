"""The top of the page: the verdict by both counts, in words, tiles and bars."""

from __future__ import annotations

from aum_edge.complexity.verdict import MARKS, State, Verdict, VerdictRow, marked
from aum_edge.report.html.markup import Markup, tag, words
from aum_edge.report.numbers import milliseconds, percent, short, size, times, whole
from aum_edge.report.schema import Model
from aum_edge.report.tables.model_tables import HEADS, colour
from aum_edge.report.view import ReportView

LIMIT_AT = 80.0
"""Where on a bar's track the limit stands, in percent; beyond 100 the bar is cut."""


def verdict_section(facts: ReportView) -> Markup:
    """Headline, badges, the lines of the verdict, tiles, and bars against the limits."""
    verdict, title = facts.verdict(facts.final["complexity"]), facts.final["title"]
    headline, state = verdict.headline(title), verdict.state
    parts: list[Markup] = []
    if verdict.rows:
        headline = f"{MARKS[state]} {headline}"
        badges = [_badge(verdict.state_by(n), f" by the {n} count") for n in verdict.counts]
        parts = [tag("div", *badges, class_="badges")]
    return tag(
        "section",
        tag("h2", headline),
        *parts,
        *[tag("p", line, class_="sub") for line in verdict.lines(title)],
        tag("div", *_tiles(facts, verdict), class_="tiles"),
        *(_bars(facts) if verdict.rows else []),
        id="verdict",
        class_="verdict" if state == "inside" else f"verdict {state}",
    )


def _bars(facts: ReportView) -> list[Markup]:
    models = [model for model in (facts.final, facts.control) if model]
    note = (
        "The red line is the limit; a striped bar is over it. "
        "1 kB is 1000 bytes, MACs are for one clip."
    )
    budgets = [_budget(facts, model) for model in models]
    return [tag("div", *budgets, class_="pair"), tag("p", note, class_="note")]


def _badge(state: State, of: str = "") -> Markup:
    kind = {"inside": "badge inside", "over": "badge over", "unknown": "badge"}[state]
    return tag("span", f"{marked(state)}{of}", class_=kind)


def _tiles(facts: ReportView, verdict: Verdict) -> list[Markup]:
    exact = facts.final["complexity"]["exact"]
    shares = {row.what: row.of_limit for row in verdict.rows_of("exact")}
    rows = [
        ("Test accuracy", f"{percent(facts.final['eval']['accuracy'])} %", _differences(facts)),
        ("Bytes, exact", size(exact["param_bytes"]), shares.get("param_bytes", "no limit")),
        ("MACs, exact", short(exact["macs"]), shares.get("macs", "no limit")),
    ]
    if "n_params" in shares:
        rows.append(("Parameters", whole(exact.get("n_params")), shares["n_params"]))
    row = facts.latency(facts.final["key"])
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


def _budget(facts: ReportView, model: Model) -> Markup:
    verdict = facts.verdict(model["complexity"])
    return tag(
        "div",
        tag("h3", tag("i", class_="key"), model["title"], _badge(verdict.state)),
        *map(_bar, sorted(verdict.rows, key=lambda row: row.what)),
        class_="budget",
        style=colour(model["key"]),
    )


def _bar(row: VerdictRow) -> Markup:
    """One value on a track whose limit always stands at the same place."""
    name = f"{HEADS[row.what]}, {row.count}"
    value, limit = row.brief
    beside = f"of {limit}, {row.percent_of_limit}"
    width = min(100.0, LIMIT_AT * (row.share or 0.0))
    track = tag(
        "div",
        tag("i", style=f"width: {width:.1f}%"),
        tag("u", style=f"left: {LIMIT_AT:.0f}%"),
        class_="track over" if row.state == "over" else "track",
        role="img",
        aria_label=f"{name}: {value} {beside}",
    )
    text = words(tag("b", value), beside)
    return tag("div", tag("span", name), tag("span", text, class_="value"), track, class_="bar")
