"""Where the multiplications are: by layer, by operator, by either count."""

from __future__ import annotations

from collections.abc import Sequence

from aum_edge.report.html.markup import Markup, section, tag
from aum_edge.report.numbers import short
from aum_edge.report.plots.figure import picture
from aum_edge.report.plots.plots import counters, shares
from aum_edge.report.schema import Model
from aum_edge.report.tables.model_tables import memory_table, special_table
from aum_edge.report.tables.storage_tables import front_end_table, stored_table
from aum_edge.report.tables.table import html_table, stacked
from aum_edge.report.view import ReportView, layer_macs


def complexity_section(facts: ReportView) -> Markup:
    """Where the multiplications are, and why there are two counts of them."""
    final = facts.final
    operators = final["complexity"]["exact"].get("macs_by_op", {})
    ordered = sorted(((k, v) for k, v in operators.items() if v > 0), key=lambda item: -item[1])
    layers = _shares(final, layer_macs(final), "layer")
    memory, special = memory_table(facts), special_table(facts)
    beside = [part for part in (_shares(final, ordered[:16], "operator"), stacked(memory)) if part]
    inside = [html_table(t) for t in (stored_table(facts), front_end_table(facts)) if t]
    columns = [*([layers] if layers else []), tag("div", *beside, class_="stack")]
    return section(
        "complexity",
        "Where the work goes",
        tag("div", *_two_counts(facts), class_="pair"),
        tag("div", *columns, class_="pair"),
        *([html_table(special)] if special else []),
        *([tag("div", *inside, class_="pair")] if inside else []),
    )


def _two_counts(facts: ReportView) -> list[Markup]:
    """The sentence on the official and the exact count, and their picture."""
    rule = facts.final["complexity"]["official"].get("rule")
    words = [tag("p", facts.official_sentence), *_unsupported(facts.final)]
    if rule:
        words.append(tag("p", f"Official rule: {rule}.", class_="note"))
    parts = [tag("div", *words, class_="stack")]
    counted = [m for m in facts.models if m["complexity"]["official"]["macs"]]
    if counted:
        values = "; ".join(
            f"{model['title']} official {short(model['complexity']['official']['macs'])}, "
            f"exact {short(model['complexity']['exact']['macs'])}"
            for model in counted
        )
        limit = facts.report["limits"]["macs"]
        drawing = counters(counted, limit, f"Official and exact MACs: {values}")
        parts.append(picture(drawing, "What the official counter sees"))
    return parts


def _shares(model: Model, values: Sequence[tuple[str, float]], name: str) -> Markup | None:
    if not values:
        return None
    words = ", ".join(f"{label} {short(value)}" for label, value in values)
    what = f"MACs of {model['title']} by {name}: {words}"
    return picture(shares(values, name, "MACs a clip", what), f"MACs by {name}, {model['title']}")


def _unsupported(model: Model) -> list[Markup]:
    names = model["complexity"].get("unsupported", {})
    if not names:
        return []
    listed = ", ".join(str(name) for name in names)
    text = f"Not counted, because there is no rule for them: {listed}. The exact count is too low."
    return [tag("p", text, class_="loud")]
