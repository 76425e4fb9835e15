"""Labels of sounds by a model or by an exported file."""

from __future__ import annotations

from aum_edge.api.inputs import Model
from aum_edge.models.predict import Ranking, Sound
from aum_edge.runtimes.predictor import open_predictor


def predict(
    model: Model,
    audio: Sound | list[Sound] | tuple[Sound, ...],
    sample_rate: int | None = None,
    *,
    top_k: int | None = None,
) -> Ranking | list[Ranking]:
    """The most probable classes of sounds by a model or by an exported file.

    Args:
        model: A classifier, its directory, or an exported file.
        audio: A path, or samples (n,) or (channels, n) within [-1, 1]; or a list of them. Longer
            audio is cut into clips, whose probabilities are averaged.
        sample_rate: Of the samples, Hz; a file says its own.
        top_k: How many classes are told; all of them if None.

    Returns:
        (label, probability) pairs of one sound, the most probable first, or a list of these.

    Raises:
        CheckpointError: If the model is an encoder without classes, or no model.
        AudioError: If a sound cannot be read or used, or ``top_k`` is below 1.
    """
    return open_predictor(model).labeller.predict(audio, sample_rate, top_k)
