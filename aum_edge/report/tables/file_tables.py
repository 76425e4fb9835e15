"""Tables of the run: exported files, their latencies, the stages."""

from __future__ import annotations

from aum_edge.report.numbers import (
    UNKNOWN,
    duration,
    fixed,
    milliseconds,
    percent,
    speed,
    times,
    tiny,
    whole,
)
from aum_edge.report.schema import ExportRow, LatencyRow
from aum_edge.report.tables.table import Cell, Column, Table
from aum_edge.report.view import ReportView


def latency_table(view: ReportView) -> Table:
    """Every measured file."""
    rows = view.bench["rows"] if view.bench else []
    first = rows[0] if rows else None
    how = f", {whole(first.get('runs'))} runs" if first and first.get("runs") else ""
    columns = [
        Column("Model", number=False),
        Column("Runtime", number=False),
        Column("Threads"),
        Column("p50", "ms"),
        Column("p90", "ms"),
        Column("p99", "ms"),
        Column("min", "ms"),
        Column("Ratio", "to the control"),
        Column("Load", "ms"),
        Column("Memory", "MB"),
        Column("Speed", "times real time"),
    ]
    return Table(
        f"One clip at a time, interleaved in one run{how}",
        columns,
        [_latency_row(view, row) for row in rows],
    )


def export_table(view: ReportView) -> Table:
    """Every exported file and how well it agrees with the model it came from."""
    rows = view.report.get("export") or []
    columns = [
        Column("Model", number=False),
        Column("Kind", number=False),
        Column("Bytes"),
        Column("Nodes"),
        Column("Scan", number=False),
        Column("Difference", "largest, logit"),
        Column("Agreement", "% of answers"),
        Column("Load", "ms"),
        Column("Export", "s"),
        Column("sha256", number=False),
    ]
    return Table(
        "Exported files, each compared with the PyTorch model it came from",
        columns,
        [_export_row(view, row) for row in rows],
    )


def stage_table(view: ReportView) -> Table | None:
    """How long every stage took."""
    stages = view.report.get("stages") or []
    if not stages:
        return None
    rows: list[list[Cell]] = [
        [row["name"], duration(row["seconds"]), "kept" if row.get("resumed") else "run"]
        for row in stages
    ]
    rows.append(["all", duration(sum(row["seconds"] for row in stages)), ""])
    columns = [Column("Stage", number=False), Column("Time"), Column("", number=False)]
    return Table("Stages", columns, rows)


def _latency_row(view: ReportView, row: LatencyRow) -> list[Cell]:
    return [
        (view.title(row["model"]), view.file_of(row["model"])),
        row.get("runtime", UNKNOWN),
        whole(row.get("threads")),
        milliseconds(row["p50_ms"]),
        milliseconds(row.get("p90_ms")),
        milliseconds(row.get("p99_ms")),
        milliseconds(row.get("min_ms")),
        times(view.ratio(row)),
        fixed(row.get("load_ms"), 1),
        fixed(row.get("rss_mb"), 1),
        speed(row.get("rtf")),
    ]


def _export_row(view: ReportView, row: ExportRow) -> list[Cell]:
    digest = row.get("sha256") or ""
    accuracy = row.get("test_accuracy")
    remark = f"accuracy {percent(accuracy)} %" if accuracy is not None else ""
    return [
        (view.title(row["model"]), row["file"]),
        row.get("kind", UNKNOWN),
        (whole(row.get("bytes")), _program_bytes(row)),
        whole(row.get("nodes")),
        row.get("scan") or UNKNOWN,
        tiny(row.get("max_abs_diff")),
        (percent(row.get("agreement")), remark),
        fixed(row.get("load_ms"), 1),
        fixed(row.get("seconds"), 1),
        digest[:12] or UNKNOWN,
    ]


def _program_bytes(row: ExportRow) -> str:
    """What the bytes of a C file are, since nobody flashes its text; nothing for ONNX."""
    if not row["file"].endswith(".c"):
        return ""
    return f"weights, tables; arena {whole(row.get('arena_bytes'))}"
