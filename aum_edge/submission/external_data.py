"""Data from outside the challenge, as models, recipe and information file declare it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aum_edge.submission.description import Run
from aum_edge.submission.models import SubmissionModel

Row = dict[str, Any]
NEEDED = ("name", "url", "total_audio_length", "licence")
"""Fields of an entry; the length is in minutes, 0 where there is no audio."""


def external_datasets(
    stated: Iterable[Mapping[str, Any]], members: Mapping[str, SubmissionModel], run: Run
) -> tuple[list[Row], list[str]]:
    """Every data set once, and a line for each field that nobody filled.

    Models carry in their lineage what their recipe declared; the information file fills what is
    empty there, by name, and adds what is lacking.
    """
    declared = [
        *(row for member in members.values() for row in _lineage_rows(member)),
        *(run.recipe.get("external_data") or ()),
        *stated,
    ]
    rows: dict[str, Row] = {}
    for entry in declared:
        filled = {key: value for key, value in entry.items() if value not in (None, "")}
        rows.setdefault(str(entry["name"]), {}).update(filled)
    lines = [
        f"external data `{name}` lacks `{field}`: give it under `external_datasets`"
        for name, row in rows.items()
        for field in NEEDED
        if field not in row
    ]
    return list(rows.values()), lines


def usage(rows: Sequence[Row]) -> str | None:
    """What outside data was used for, in words; None where an entry does not say."""
    if not rows:
        return "none"
    if any(not row.get("used_for") for row in rows):
        return None
    return "; ".join(f"{row['name']}: {row['used_for']}" for row in rows)


def _lineage_rows(member: SubmissionModel) -> list[Row]:
    return [row for step in member.lineage for row in step.get("external_data") or ()]
