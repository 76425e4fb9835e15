"""Labels of audio files by a model or by an exported file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aum_edge.api.inputs import Model
from aum_edge.errors import AudioError, RecipeError
from aum_edge.runtimes.predictor import open_predictor

Ranking = list[tuple[str, float]]
"""(label, probability) pairs, the most probable first."""


def predict(
    model: Model, audio: str | Path | Sequence[str | Path], *, top_k: int | None = None
) -> Ranking | list[Ranking]:
    """The most probable classes of audio files by a model or by an exported file.

    Args:
        model: A classifier, its directory, or an exported file.
        audio: A path, or several. Longer audio is cut into clips, whose probabilities are
            averaged.
        top_k: How many classes are told; all of them if None.

    Returns:
        (label, probability) pairs of one file, the most probable first, or a list of these.

    Raises:
        CheckpointError: If the model is an encoder without classes, or no model.
        AudioError: If a file cannot be read or used.
        RecipeError: If ``top_k`` is below 1.
    """
    if top_k is not None and top_k < 1:
        raise RecipeError(f"`top_k` must be at least 1, got {top_k}.")
    predictor = open_predictor(model)
    rankings = []
    for path in [audio] if isinstance(audio, str | Path) else audio:
        row = predictor.label_file(Path(path))
        if "error" in row:
            raise AudioError(row["error"])
        ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
        rankings.append(ranked[:top_k])
    return rankings[0] if isinstance(audio, str | Path) else rankings
