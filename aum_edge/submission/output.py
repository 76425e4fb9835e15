"""The challenge's output table: a scene and ten probabilities for each file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aum_edge.core.files import write_text
from aum_edge.submission.prediction import Logits
from aum_edge.submission.results import softmax
from aum_edge.submission.runtime.scenes import SCENES

HEADER = ("filename", "scene_label", *SCENES)


def write_output(path: Path, names: Sequence[str], logits: Logits) -> None:
    """Write the table, separated by tabs, in the order of the files."""
    lines = ["\t".join(HEADER)]
    for name, row in zip(names, softmax(logits), strict=True):
        values = [f"{value:.9g}" for value in row]
        lines.append("\t".join([name, SCENES[int(row.argmax())], *values]))
    write_text(path, "\n".join(lines) + "\n")


def output_names(label: str, year: int, splits: Sequence[int]) -> list[str]:
    """The names of a system's output files in its folder of the zip."""
    if year == 2024:
        return [f"{label}.output.split_{percent}.csv" for percent in splits]
    return [f"{label}.output.csv"]


def listed_name(name: str, year: int) -> str:
    """A file's name as the year's validator reads it: before 2025 without its folder."""
    return name if year >= 2025 else Path(name).name
