"""Inputs of the verbs: models as objects or paths, matching data, a work folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.initialise import front_end_differences

Model = AudioClassifier | str | Path
"""A classifier, or the path of its model directory or run directory."""


def check_front_end(model: AudioClassifier, data: AudioData) -> None:
    """Refuse features that the model was not made for.

    Raises:
        RecipeError: If the front ends differ.
    """
    if model.frontend != data.frontend:
        differences = front_end_differences(data.frontend, model.frontend)
        differences = differences or [f"clips of {data.frontend.clip_seconds} s"]
        raise RecipeError(
            "The data were made with another front end than the model's: "
            f"{'; '.join(differences)}. Make them with `model.frontend`."
        )


@contextlib.contextmanager
def work_folder(path: str | Path | None) -> Iterator[Path]:
    """The folder given, or a temporary one that is gone afterwards."""
    if path is not None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="aum-edge-fit-") as folder:
        yield Path(folder)
