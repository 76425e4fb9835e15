"""A complexity report as text, Markdown, CSV, and as the block of a challenge submission."""

from __future__ import annotations

import csv
import io
from typing import Any

import yaml

from aum_edge.complexity.report import Complexity
from aum_edge.complexity.verdict import COUNTS, WORDS, Verdict

Table = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]
"""Title, column heads, rows."""
TOP_LAYERS = 40


def text(result: Complexity) -> str:
    """For the terminal: verdict, figures, then tables."""
    lines = []
    for title, heads, rows in tables(result):
        cells = [tuple(map(_cell, row)) for row in (heads, *rows)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
        lines.append(title)
        for row in cells:
            padded = [
                cell.ljust(width) if i == 0 or not _numeric(cell) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  " + "  ".join(padded).rstrip())
        lines.append("")
    return "\n".join([*lines, *result.warnings]).rstrip()


def markdown(result: Complexity) -> str:
    """The same as Markdown tables."""
    lines = []
    for title, heads, rows in tables(result):
        lines += [f"**{title}**", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
        lines.append("")
    return "\n".join([*lines, *result.warnings]).rstrip()


def layer_csv(result: Complexity) -> str:
    """One line a layer and operator: ``layer,operator,macs``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("layer", "operator", "macs"))
    for name, operators in result.counts.layers.items():
        for operator, macs in operators.items():
            writer.writerow((name, operator, macs))
    return out.getvalue().rstrip()


def submission(result: Complexity) -> str:
    """The ``complexity`` block of a DCASE meta file, by that year's own counting.

    A figure that the year's tool does not give is null. Beside the official figures stand the
    exact ones, under a name that no validator reads.
    """
    values = result.to_dict()
    exact, official = values["exact"], values["official"]
    block = {
        "complexity": {
            "total_model_size": official["param_bytes"],
            "total_parameters": exact["n_params"],
            "total_parameters_non_zero": exact["n_params"] - values["bytes"].get("zero_params", 0),
            "macs": official["macs"],
            "counted_by": official["rule"],
            "exact": {"macs": exact["macs"], "param_bytes": exact["param_bytes"]},
        }
    }
    return yaml.safe_dump(block, sort_keys=False, width=100).rstrip()


def tables(result: Complexity) -> list[Table]:
    """Every table of the report, the verdict first."""
    values = result.to_dict()
    made = [_verdict(result.verdict, values), _bytes(values), _work(values)]
    if values["front_end"]:
        made.append(_front_end(values["front_end"]))
    if values["crosscheck"]:
        made.append(_crosscheck(values))
    made.append(_layers(values))
    return made


def _verdict(verdict: Verdict, values: dict[str, Any]) -> Table:
    rows: list[tuple[Any, ...]] = []
    for name in COUNTS:
        figures = values[name]
        word = WORDS[verdict.state_by(name)]
        rows.append((name, figures["macs"], figures["param_bytes"], figures["n_params"], word))
    limits = values["limits"]
    rows.append(
        ("limit", limits["macs"], limits["param_bytes"], limits["n_params"], limits["name"])
    )
    return (
        f"Limits {limits['name']} (official: {values['official']['rule']})",
        ("count", "MACs", "bytes", "parameters", "verdict"),
        rows,
    )


def _bytes(values: dict[str, Any]) -> Table:
    exact, sizes = values["exact"], values["bytes"]
    rows = [
        (f"stored as {name}", row["elements"], row["bytes"])
        for name, row in sizes["by_precision"].items()
    ]
    for title, key in (
        ("scales and zero points", "scale_bytes"),
        ("buffers", "buffer_bytes"),
        ("payload", "payload_bytes"),
        ("file", "file_bytes"),
    ):
        if sizes.get(key) is not None:
            rows.append((title, None, sizes[key]))
    rows.append(("weights that are zero", sizes.get("zero_params"), None))
    rows.append(("activations at the peak, one clip", None, exact["peak_activation_bytes"]))
    rows.append(("scan state", exact["state_elements"], None))
    if exact["streaming_state_elements"] is not None:
        rows.append(
            (
                "state for streaming",
                exact["streaming_state_elements"],
                4 * exact["streaming_state_elements"],
            )
        )
    return "Memory", ("what", "elements", "bytes"), rows


def _work(values: dict[str, Any]) -> Table:
    exact = values["exact"]
    total = max(1, exact["macs"])
    rows: list[tuple[Any, ...]] = [
        (name, macs, f"{100 * macs / total:.1f} %")
        for name, macs in sorted(exact["macs_by_op"].items(), key=lambda item: -item[1])
    ]
    rows += [(name, calls, "calls") for name, calls in sorted(exact["special_functions"].items())]
    rows += [(name, calls, "NO RULE") for name, calls in values["unsupported"].items()]
    return "MACs by operator, and special functions", ("operator", "count", "share"), rows


def _front_end(cost: dict[str, Any]) -> Table:
    rows: list[tuple[Any, ...]] = [
        (name, macs, None) for name, macs in cost["macs_by_stage"].items()
    ]
    rows += [
        ("all stages", cost["macs"], None),
        ("with dense mel filters", cost["macs_dense_filters"], None),
        ("tables", None, cost["table_bytes"]),
        ("working memory of one frame", None, cost["working_bytes"]),
        ("features of the clip", None, cost["feature_bytes"]),
    ]
    return "Front end, not in the figures above", ("stage", "MACs", "bytes"), rows


def _crosscheck(values: dict[str, Any]) -> Table:
    rows: list[tuple[Any, ...]] = []
    for row in values["crosscheck"]:
        ratio = None if row["ratio"] is None else f"{row['ratio']:.3f}"
        rows.append((row["tool"], row["macs"], row["n_params"], ratio, row["reason"]))
    return "Other counters", ("tool", "MACs", "parameters", "by exact", "why"), rows


def _layers(values: dict[str, Any]) -> Table:
    layers = sorted(values["layers"], key=lambda row: -row["macs"])
    rows: list[tuple[Any, ...]] = [
        (row["name"] or "(top)", row["macs"], ", ".join(row["macs_by_op"]))
        for row in layers[:TOP_LAYERS]
    ]
    rest = layers[TOP_LAYERS:]
    if rest:
        rows.append((f"{len(rest)} smaller ones", sum(row["macs"] for row in rest), ""))
    return "MACs by layer", ("layer", "MACs", "operators"), rows


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _numeric(cell: str) -> bool:
    return cell[:1].isdigit() or cell == "-"
