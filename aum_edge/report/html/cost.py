"""Sections on cost: latency beside the control, and where the multiplications are."""

from __future__ import annotations

from collections.abc import Sequence

from aum_edge.report.html.render import Section, as_facts
from aum_edge.report.int8_savings import int8_lines
from aum_edge.report.numbers import short
from aum_edge.report.plots.bars import counters, latencies, shares
from aum_edge.report.plots.figure import Picture
from aum_edge.report.schema import Model
from aum_edge.report.tables.file_tables import latency_table
from aum_edge.report.tables.model_tables import memory_table, special_table
from aum_edge.report.tables.storage_tables import front_end_table, stored_table
from aum_edge.report.view import ReportView, layer_macs

MOST_OPERATORS = 16


def latency_section(view: ReportView) -> Section | None:
    """Median, percentiles, and the ratio to the control in the same run."""
    if view.bench is None:
        return None
    rows = [
        (_bench_title(view, row["model"]), view.key_of(row["model"]), row, view.ratio(row))
        for row in view.bench["rows"]
    ]
    words = "; ".join(f"{title} {row['p50_ms']:.3f} ms" for title, _, row, _ in rows)
    base = view.base_latency
    lead = (
        f"Milliseconds belong to this machine; the ratio to {view.title(base['model'])}, timed "
        "in the same run, is the result to carry elsewhere."
        if base
        else "Milliseconds belong to this machine, and no control was timed beside the models."
    )
    values = {
        "lead": lead,
        "picture": Picture("Latency, one clip", latencies(rows, f"Median latency: {words}")),
        "host": as_facts(view.bench.get("host") or {}),
        "table": latency_table(view),
        "notes": int8_lines(view),
    }
    return Section("report/latency", "latency", "Latency", values)


def complexity_section(view: ReportView) -> Section:
    """Where the multiplications are, and why there are two counts of them."""
    final = view.final
    operators = final["complexity"]["exact"].get("macs_by_op", {})
    ordered = sorted(((k, v) for k, v in operators.items() if v > 0), key=lambda item: -item[1])
    values = {
        "sentence": view.official_sentence,
        "unsupported": list(final["complexity"].get("unsupported", {})),
        "rule": final["complexity"]["official"].get("rule"),
        "counters": _counters(view),
        "layers": _shares(final, layer_macs(final), "layer"),
        "operators": _shares(final, ordered[:MOST_OPERATORS], "operator"),
        "memory": memory_table(view),
        "special": special_table(view),
        "stored": [table for table in (stored_table(view), front_end_table(view)) if table],
    }
    return Section("report/complexity", "complexity", "Where the work goes", values)


def _bench_title(view: ReportView, name: str) -> str:
    title = view.title(name)
    twins = [row for row in (view.bench or {"rows": []})["rows"] if row["model"] == name]
    return f"{title}, {twins[0].get('runtime')}" if len(twins) > 1 else title


def _counters(view: ReportView) -> Picture | None:
    """The official and the exact count of every model that has both."""
    counted = [m for m in view.models if m["complexity"]["official"]["macs"]]
    if not counted:
        return None
    values = "; ".join(
        f"{model['title']} official {short(model['complexity']['official']['macs'])}, "
        f"exact {short(model['complexity']['exact']['macs'])}"
        for model in counted
    )
    limit = view.report["limits"]["macs"]
    drawing = counters(counted, limit, f"Official and exact MACs: {values}")
    return Picture("What the official counter sees", drawing)


def _shares(model: Model, values: Sequence[tuple[str, float]], name: str) -> Picture | None:
    if not values:
        return None
    words = ", ".join(f"{label} {short(value)}" for label, value in values)
    what = f"MACs of {model['title']} by {name}: {words}"
    drawing = shares(values, name, "MACs a clip", what)
    return Picture(f"MACs by {name}, {model['title']}", drawing)
