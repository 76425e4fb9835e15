"""TSV tables as the challenge publishes them, with line ends of either kind."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from aum_edge.errors import DataError

Line = tuple[int, dict[str, str]]
"""Number in the file, and cells by column; a cell that a short line lacks is None."""


def read_tsv(path: Path, columns: Sequence[str], advice: str) -> list[Line]:
    """All lines below the header; ``advice`` says what to do about a file that is not there.

    Raises:
        DataError: The file is missing, is no text in UTF-8 or lacks a column.
    """
    if not path.is_file():
        raise DataError(f"There is no {path}: {advice}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            lacking = [name for name in columns if name not in (reader.fieldnames or [])]
            if lacking:
                raise DataError(
                    f"{path} lacks the columns {', '.join(lacking)}; it has {reader.fieldnames} "
                    "when read as a table separated by tabs."
                )
            return [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no table in UTF-8 ({error}): get it again.") from error
