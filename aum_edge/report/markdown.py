"""The report as Markdown: the same tables, no pictures."""

from __future__ import annotations

from aum_edge.report.int8_savings import int8_lines
from aum_edge.report.numbers import percent, whole
from aum_edge.report.schema import Report
from aum_edge.report.tables.compression_tables import choice_table, kept_lines, rounds_table
from aum_edge.report.tables.device_tables import device_models_tables, verdict_line
from aum_edge.report.tables.file_tables import export_table, latency_table, stage_table
from aum_edge.report.tables.model_tables import (
    budget_table,
    confusion_table,
    device_table,
    memory_table,
    models_table,
    special_table,
)
from aum_edge.report.tables.storage_tables import front_end_table, stored_table
from aum_edge.report.tables.table import Cell, Column, Table, markdown_table, markdown_text
from aum_edge.report.view import Grouping, ReportView, scores_by


def markdown(report: Report) -> str:
    """report.md."""
    view = ReportView(report)
    verdict, title = view.verdict(view.final["complexity"]), view.final["title"]
    judged = [model for model in (view.final, view.control) if model]
    parts = [
        f"# {markdown_text(report['title'])}",
        _about(report),
        f"**{markdown_text(verdict.headline(title))}.**",
        "\n".join(f"* {markdown_text(line)}" for line in verdict.lines(title)),
        _titled(budget_table(view, judged)),
        _titled(models_table(view), "Accuracy and cost"),
    ]
    found = [_scores(view, "per_class", "Class"), _scores(view, "per_device", "Device")]
    found += [device_table(view), confusion_table(view)]
    if view.bench:
        found.append(latency_table(view))
    parts += [_titled(table) for table in found if table]
    if view.bench:
        parts += [markdown_text(line) for line in int8_lines(view)]
    parts += _device_models(view)
    parts += ["## Two counts of MACs", markdown_text(view.official_sentence)]
    rest = [special_table(view), memory_table(view), stored_table(view), front_end_table(view)]
    parts += [_titled(table) for table in rest if table]
    parts += _compression(view)
    run = [export_table(view) if report.get("export") else None, stage_table(view)]
    parts += [_titled(table) for table in run if table]
    parts += [markdown_text(line) for line in report.get("export_notes") or []]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(report: Report) -> str:
    corpus = report["corpus"]
    return markdown_text(
        f"Corpus {corpus['name']}: {len(corpus['labels'])} classes, {whole(corpus['n_train'])} "
        f"training, {whole(corpus['n_val'])} validation and {whole(corpus['n_test'])} test clips. "
        f"Recipe {report['recipe']['name']}, made {report['created']}."
    )


def _compression(view: ReportView) -> list[str]:
    """Pruning and quantization as the page has them, without their pictures."""
    found = [(rounds_table(view), "Pruning"), (choice_table(view), "Quantization")]
    parts = [_titled(table, title) for table, title in found if table]
    return [*parts, *(markdown_text(line) for line in kept_lines(view))]


def _device_models(view: ReportView) -> list[str]:
    """The general model against one for each device."""
    tables = device_models_tables(view)
    if not tables:
        return []
    head = f"## One model for each device\n\n{markdown_text(verdict_line(view))}"
    return [head, *(_titled(table) for table in tables)]


def _titled(table: Table, title: str = "") -> str:
    heading = f"## {markdown_text(title or table.caption)}"
    remark = f"\n\n{markdown_text(table.caption)}" if title else ""
    return f"{heading}{remark}\n\n{markdown_table(table)}"


def _scores(view: ReportView, field: Grouping, head: str) -> Table | None:
    """Accuracy by class or device, one column a model."""
    names = list(scores_by(view.final, field))
    if not names:
        return None
    rows: list[list[Cell]] = [
        [name, *(percent(scores_by(model, field).get(name)) for model in view.compared)]
        for name in names
    ]
    columns = [Column(head, number=False), *(Column(m["title"], "%") for m in view.compared)]
    return Table(f"Accuracy by {head.lower()}", columns, rows)
