"""Every epoch's numbers, in a file that is whole at any time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

Row = dict[str, float | int]
OnEpoch = Callable[[Sequence[Row]], None]
"""Told every epoch's numbers so far, after each epoch; what it raises ends the training."""


def write_history(history: list[Row], path: Path) -> None:
    """Write history.csv in one step, so that a kill never leaves half a file."""
    draft = path.with_suffix(".tmp")
    with draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    draft.replace(path)
