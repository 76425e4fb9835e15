"""The top of the page: the verdict by both counts, in words, tiles and bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aum_edge.complexity.verdict import MARKS, State, Verdict, VerdictRow, marked
from aum_edge.report.html.render import Section
from aum_edge.report.numbers import interval, milliseconds, percent, short, size, times, whole
from aum_edge.report.palette import model_colour
from aum_edge.report.schema import Model
from aum_edge.report.tables.model_tables import HEADS
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
    limit_at: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The bars of one model against the limits."""

    title: str
    colour: str
    badge: Badge
    bars: Sequence[Bar]


def verdict_section(view: ReportView) -> Section:
    """Headline, badges, the lines of the verdict, tiles, and bars against the limits."""
    verdict, title = view.verdict(view.final["complexity"]), view.final["title"]
    headline, badges, budgets = verdict.headline(title), [], []
    if verdict.rows:
        headline = f"{MARKS[verdict.state]} {headline}"
        badges = [_badge(verdict.state_by(n), f" by the {n} count") for n in verdict.counts]
        budgets = [_budget(view, model) for model in (view.final, view.control) if model]
    values = {
        "badges": badges,
        "lines": verdict.lines(title),
        "tiles": _tiles(view, verdict),
        "budgets": budgets,
    }
    css_class = "verdict" if verdict.inside else f"verdict {verdict.state}"
    return Section("report/verdict", "verdict", headline, values, css_class)


def _badge(state: State, of: str = "") -> Badge:
    return Badge(f"{marked(state)}{of}", "" if state == "unknown" else state)


def _tiles(view: ReportView, verdict: Verdict) -> list[tuple[str, str, str]]:
    """Name, value and remark of each."""
    exact = view.final["complexity"]["exact"]
    shares = {row.what: row.of_limit for row in verdict.rows_of("exact")}
    rows = [
        ("Test accuracy", f"{percent(view.final['eval']['accuracy'])} %", _differences(view)),
        ("Bytes, exact", size(exact["param_bytes"]), shares.get("param_bytes", "no limit")),
        ("MACs, exact", short(exact["macs"]), shares.get("macs", "no limit")),
    ]
    if "n_params" in shares:
        rows.append(("Parameters", whole(exact.get("n_params")), shares["n_params"]))
    row = view.latency(view.final["key"])
    if row:
        ratio = view.ratio(row)
        beside = f"{times(ratio)} the control" if ratio and view.control else "median, one clip"
        rows.append(("Latency", f"{milliseconds(row['p50_ms'])} ms", beside))
    return rows


def _differences(view: ReportView) -> str:
    own = view.final["eval"]["accuracy"]
    others = [("teacher", view.teacher), ("control", view.control)]
    parts = [
        f"{100 * (own - model['eval']['accuracy']):+.1f} to {name}".replace("-", "−")
        for name, model in others
        if model
    ]
    if view.control and _at_chance(view.control, len(view.report["corpus"]["labels"])):
        parts[-1] += " (at chance)"
    return ", ".join(parts) or f"{view.final['eval']['n']} clips"


def _at_chance(model: Model, classes: int) -> bool:
    """Whether the interval of its accuracy reaches down to that of a guess."""
    scores = model["eval"]
    return interval(scores["accuracy"], int(scores["n"]))[0] <= 1 / max(1, classes)


def _budget(view: ReportView, model: Model) -> Budget:
    verdict = view.verdict(model["complexity"])
    return Budget(
        title=model["title"],
        colour=model_colour(model["key"]),
        badge=_badge(verdict.state),
        bars=[_bar(row) for row in sorted(verdict.rows, key=lambda row: row.what)],
    )


def _bar(row: VerdictRow) -> Bar:
    """One value on a track whose limit always stands at the same place."""
    value, limit = row.brief
    return Bar(
        name=f"{HEADS[row.what]}, {row.count}",
        value=value,
        remark=f"of {limit}, {row.percent_of_limit}",
        width=f"{min(100.0, LIMIT_AT * (row.share or 0.0)):.1f}",
        over=row.state == "over",
        limit_at=f"{LIMIT_AT:.0f}",
    )
