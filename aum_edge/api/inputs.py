"""Inputs of the verbs: models as objects or paths, matching data, a work folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aum_edge.core.files import disk_errors
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.initialise import front_end_differences

Model = AudioClassifier | str | Path
"""A classifier, or the path of its model directory or run directory."""


def check_front_end(model: AudioClassifier, data: AudioData) -> None:
    """Refuse features that the model was not made for, and what is no corpus.

    Raises:
        RecipeError: If the front ends differ, or ``data`` is a path or another object.
    """
    check_data(data)
    if model.frontend != data.frontend:
        differences = front_end_differences(data.frontend, model.frontend)
        differences = differences or [f"clips of {data.frontend.clip_seconds} s"]
        raise RecipeError(
            "The data were made with another front end than the model's: "
            f"{'; '.join(differences)}. Make them with `model.frontend`."
        )


def check_data(data: object) -> None:
    """Refuse a corpus given as a path, or another argument in its place.

    Raises:
        RecipeError: If it is no ``AudioData``.
    """
    if not isinstance(data, AudioData):
        raise RecipeError(
            f"The data must be AudioData, got {type(data).__name__}: make them with "
            'AudioData.of("folder", "my_sounds", model.frontend).'
        )


@contextlib.contextmanager
def work_folder(path: str | Path | None) -> Iterator[Path]:
    """The folder given, or a temporary one that is gone afterwards.

    Raises:
        DiskError: If the folder cannot be made.
    """
    if path is not None:
        given = Path(path)
        with disk_errors(given, "checkpoints"):
            given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="aum-edge-fit-") as folder:
        yield Path(folder)
