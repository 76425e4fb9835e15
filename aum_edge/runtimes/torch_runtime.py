"""Model directories in torch; its number of threads is that of the whole process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aum_edge.errors import CheckpointError
from aum_edge.runtimes.runtime import DIRECTORY, Opened, OpenedClassifier, Runtime, example_for

if TYPE_CHECKING:
    from aum_edge.models.classifier import AudioClassifier


def _open(path: Path, threads: int, batch: int, seed: int) -> Opened:
    import torch

    from aum_edge.models.classifier import load

    model = load(path)
    frontend = model.frontend
    shape = (batch, 1, frontend.n_mels, frontend.n_frames)
    example = torch.from_numpy(example_for(shape, frontend, batch, seed))

    def run() -> Any:
        with torch.inference_mode():
            return model(example)

    return Opened(run, frontend.clip_seconds, "features")


def _classifier(path: Path) -> OpenedClassifier:
    from aum_edge.models.classifier import load

    return as_opened(load(path), str(path))


def as_opened(model: AudioClassifier, name: str) -> OpenedClassifier:
    """A model that is loaded already.

    Raises:
        CheckpointError: If it has no classes.
    """
    if not model.labels:
        raise CheckpointError(
            f"{name} is an encoder without classes: fine-tune it first, with "
            "`teacher.model.init` in a recipe."
        )
    logits = model.eval()
    return OpenedClassifier(model.labels, model.frontend, logits, model.activation, "spectrogram")


RUNTIME = Runtime(name="torch", endings=(DIRECTORY,), open=_open, classifier=_classifier)
