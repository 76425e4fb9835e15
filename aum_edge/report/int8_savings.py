"""What an int8 file saves in bytes and what it costs in time, one sentence a file.

On a CPU the conversions between int8 and float can cost more than the small products save, so
the latency stands beside the bytes, better or worse.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from aum_edge.report.numbers import percent, times, whole
from aum_edge.report.schema import ExportRow, LatencyRow
from aum_edge.report.view import ReportView, file_key


def int8_lines(view: ReportView) -> list[str]:
    """A sentence for every int8 file that has a float file beside it; the bench's ratio in it."""
    rows = view.report.get("export") or []
    lines = []
    for row in rows:
        base = _float_file(row, rows)
        if base is not None:
            title = view.title(file_key(row["file"]))
            lines.append(f"{title}: {_bytes(row, base)}; {_time(view, row, base)}.")
    return lines


def _float_file(row: ExportRow, rows: list[ExportRow]) -> ExportRow | None:
    """The float file that ``row`` is the int8 form of: ``student`` of ``student_int8_static``."""
    if not row.get("kind", "").startswith("int8"):
        return None
    path = PurePosixPath(row["file"])
    wanted = file_key(f"{path.stem.partition('_int8')[0]}{path.suffix}")
    floats = [other for other in rows if other.get("kind") == "fp32"]
    return next((other for other in floats if file_key(other["file"]) == wanted), None)


def _bytes(row: ExportRow, base: ExportRow) -> str:
    size, before = row.get("bytes"), base.get("bytes")
    if not size or not before:
        return f"its size beside {base['file']} is not known"
    saved = before - size
    words = "saves" if saved >= 0 else "adds"
    share = percent(abs(saved) / before)
    what = "bytes of weights and tables" if row["file"].endswith(".c") else "bytes"
    return f"{words} {whole(abs(saved))} of {whole(before)} {what} ({share} %)"


def _time(view: ReportView, row: ExportRow, base: ExportRow) -> str:
    own, other = (_timed(view, file) for file in (row, base))
    if own is None or other is None or not other["p50_ms"]:
        return "its latency beside the float file was not measured"
    ratio = own["p50_ms"] / other["p50_ms"]
    spread = max(own.get("spread") or 0.0, other.get("spread") or 0.0)
    within = f", quartiles {percent(spread)} % of the median apart" if spread else ""
    facts_of_it = f"{times(ratio)} the float file's median time in the same run{within}"
    if ratio > 1 + spread:
        return f"does not pay in latency: {facts_of_it}"
    if ratio < 1 - spread:
        return f"pays in latency too: {facts_of_it}"
    return f"no clear difference in latency: {facts_of_it}"


def _timed(view: ReportView, row: ExportRow) -> LatencyRow | None:
    rows = view.bench["rows"] if view.bench else []
    return next((found for found in rows if found["model"] == file_key(row["file"])), None)
