"""What the figures of the final model are made of: bytes by precision, and its front end."""

from __future__ import annotations

from aum_edge.report.numbers import short, size, whole
from aum_edge.report.tables.table import Cell, Column, Table
from aum_edge.report.view import ReportView


def stored_table(view: ReportView) -> Table | None:
    """Stored bytes of the final model by type; scales, zeros and the payload below."""
    sizes = view.final["complexity"].get("bytes")
    if not sizes:
        return None
    rows: list[list[Cell]] = [
        [name, whole(row["elements"]), size(row["bytes"])]
        for name, row in sizes["by_precision"].items()
    ]
    rows.append(["of it scales and zero points", "", size(sizes.get("scale_bytes"))])
    rows.append(["of it weights that are zero", whole(sizes.get("zero_params")), ""])
    rows.append(["payload of the file", "", size(sizes["payload_bytes"])])
    columns = [Column("Stored as", number=False), Column("Elements"), Column("Bytes")]
    return Table(f"What is stored of {view.final['title']}", columns, rows)


def front_end_table(view: ReportView) -> Table | None:
    """MACs and memory of the front end, which no challenge counts."""
    cost = view.final["complexity"].get("front_end")
    if not cost:
        return None
    rows: list[list[Cell]] = [
        [name, short(macs), ""] for name, macs in cost["macs_by_stage"].items()
    ]
    rows += [
        ["all stages", short(cost["macs"]), ""],
        ["with dense mel filters", short(cost["macs_dense_filters"]), ""],
        ["tables", "", size(cost["table_bytes"])],
        ["working memory of one frame", "", size(cost["working_bytes"])],
        ["features of the clip", "", size(cost["feature_bytes"])],
    ]
    columns = [Column("Front end", number=False), Column("MACs"), Column("Bytes")]
    return Table("The front end of a clip, not in the figures above", columns, rows)
