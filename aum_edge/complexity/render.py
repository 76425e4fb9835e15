"""A complexity report as text for the terminal and as Markdown."""

from __future__ import annotations

from typing import Any

from aum_edge.complexity.report import Complexity


def text(result: Complexity) -> str:
    """Verdict, figures, then MACs by operator and by layer."""
    values = result.to_dict()
    exact = values["exact"]
    lines = [
        f"{head:<10} {macs:>16} {size:>16}  {verdict}"
        for head, macs, size, verdict in _rows(values)
    ]
    lines += [
        "",
        f"{exact['n_params']:,} weights, {exact['buffer_bytes']:,} bytes of buffers, "
        f"{exact['peak_activation_bytes']:,} bytes of activations at the peak, "
        f"{exact['state_elements']:,} state elements",
        "",
    ]
    for title, items in _tables(values):
        width = max((len(name) for name, _ in items), default=0)
        lines += [title, *(f"  {name:<{width}} {value:>14,}" for name, value in items), ""]
    return "\n".join([*lines, *values["warnings"]]).rstrip()


def markdown(result: Complexity) -> str:
    """The same as tables."""
    values = result.to_dict()
    lines = ["| count | MACs | bytes | verdict |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(values)[1:]]
    for title, items in _tables(values):
        lines += ["", f"| {title} | |", "|---|---|"]
        lines += [f"| {name} | {value:,} |" for name, value in items]
    return "\n".join([*lines, "", *values["warnings"]]).rstrip()


def _rows(values: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = [("", "MACs", "bytes", "")]
    for name in ("exact", "official"):
        inside = values["within_limits"][name]
        word = {True: "inside", False: "OVER", None: "not known"}[inside]
        figures = values[name]
        rows.append((name, _number(figures["macs"]), _number(figures["param_bytes"]), word))
    limits = values["limits"]
    rows.append((limits["name"], _number(limits["macs"]), _number(limits["param_bytes"]), "limit"))
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _tables(values: dict[str, Any]) -> list[tuple[str, list[tuple[str, int]]]]:
    exact = values["exact"]
    by_size = sorted(exact["macs_by_op"].items(), key=lambda item: -item[1])
    layers = [(row["name"] or "(top)", row["macs"]) for row in values["layers"]]
    return [
        ("MACs by operator", by_size),
        ("special functions", sorted(exact["special_functions"].items())),
        ("MACs by layer", layers),
    ]
