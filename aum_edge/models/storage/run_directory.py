"""A run directory where a model is asked for: its final model."""

from __future__ import annotations

from pathlib import Path

from aum_edge.errors import CheckpointError

RECIPE, STAGE = "recipe.yaml", "stage.json"
"""What marks a run directory, and a stage of it that is finished."""
FINAL_STAGES = ("quantize", "prune", "distill", "pretrain", "teacher")
"""Stages whose model is the result of a run that went so far, the last one first."""


def model_directory(path: str | Path) -> Path:
    """The model directory that a path names: itself, or the final model of a run.

    Raises:
        CheckpointError: If it is a run in which no model is finished yet.
    """
    path = Path(path)
    if not (path / RECIPE).is_file():
        return path
    for stage in FINAL_STAGES:
        if (path / stage / STAGE).is_file() and (path / stage / "model").is_dir():
            return path / stage / "model"
    raise CheckpointError(
        f"{path} is a run in which no model is finished: go on with `aum-edge run`, or name a "
        "model directory."
    )
