"""Front end, normalisation and labels around a converted network, from its flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aum_edge.audio.config import FrontEndConfig, Normalization, aum_fbank, epic_sounds_mel
from aum_edge.checkpoints.flags import Flags
from aum_edge.data.labels import read_label_table
from aum_edge.errors import RecipeError
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.classifier import Activation, AudioClassifier

AUDIOSET = (-4.2677393, 4.5689974)
AUDIOSET_CLASSES = 527
EPIC = ("epic_sounds", "epic-sounds", "epicsounds")


@dataclass(frozen=True)
class ClassifierSettings:
    """What a classifier holds beside its network."""

    frontend: FrontEndConfig
    normalization: Normalization
    labels: tuple[str, ...]
    activation: Activation = "softmax"


def activation_of(flags: Flags, n_classes: int) -> Activation:
    """Sigmoid for a model trained with BCE; without the flag `loss`, for AudioSet's classes."""
    loss = flags.take("BCE" if n_classes == AUDIOSET_CLASSES else "CE", "loss").upper()
    if loss not in ("BCE", "CE"):
        raise RecipeError(f"The flag `loss` must be BCE or CE, got {loss!r}.")
    return "sigmoid" if loss == "BCE" else "softmax"


def classifier_settings(
    flags: Flags, n_mels: int, n_frames: int, n_classes: int, notes: list[str]
) -> ClassifierSettings:
    """AuM's and SSAMBA's front end, mean and deviation, and the labels if they are given.

    Flags: ``dataset_mean``, ``dataset_std``, ``dataset`` (epic_sounds has a front end of its own
    and is not normalised), ``sample_rate`` (16,000 Hz), and ``labels`` or ``label_csv``.

    Raises:
        RecipeError: If the labels do not fit the head.
        DataError: If the label table is missing or wrong.
    """
    if flags.take("", "dataset").lower() in EPIC:
        frontend, normalization = epic_sounds_mel(n_frames), Normalization()
        flags.ignore("dataset_mean", "dataset_std")
    else:
        rate = flags.take(16_000, "sample_rate")
        if not 1_000 <= rate <= 400_000:
            raise RecipeError(f"The flag `sample_rate` must be in Hz, got {rate}.")
        flags.refuse(10, "fshift")
        frontend = aum_fbank(sample_rate=rate, n_frames=n_frames)
        if not flags.has("dataset_mean", "dataset_std"):
            notes.append("No `dataset_mean` and `dataset_std` given: AudioSet's are used.")
        mean, std = flags.take(AUDIOSET[0], "dataset_mean"), flags.take(AUDIOSET[1], "dataset_std")
        normalization = Normalization(mean=mean, std=std, std_factor=2.0)
    frontend = replace(frontend, n_mels=n_mels)
    labels = labels_of(flags, n_classes, notes)
    return ClassifierSettings(frontend, normalization, labels, activation_of(flags, n_classes))


def labels_of(flags: Flags, n_classes: int, notes: list[str]) -> tuple[str, ...]:
    """The flags' labels; without any, one by number.

    Raises:
        RecipeError: If there are more or fewer labels than classes, or one comes twice.
        DataError: If the label table is missing or wrong.
    """
    nothing: list[str] = []
    names, table = flags.take(nothing, "labels"), flags.take("", "label_csv")
    given = tuple(map(str, names)) if names or not table else read_label_table(Path(table)).names
    if n_classes == 0:
        return ()
    if not given:
        notes.append("No `labels` or `label_csv` given: the classes are named by their numbers.")
        return tuple(f"class {index}" for index in range(n_classes))
    if len(given) != n_classes or len(set(given)) != n_classes:
        raise RecipeError(
            f"The model has {n_classes} classes and needs as many different labels; got "
            f"{len(given)}, {len(set(given))} of them different."
        )
    return given


def classifier(
    backbone: Backbone,
    settings: ClassifierSettings,
    kind: str,
    notes: list[str],
    flags: Mapping[str, Any],
) -> AudioClassifier:
    """The whole model in eval mode; the notes and the flags go into its lineage."""
    step = {"step": "converted", "kind": kind, "flags": dict(flags), "notes": list(notes)}
    return AudioClassifier(
        backbone,
        frontend=settings.frontend,
        normalization=settings.normalization,
        labels=settings.labels,
        lineage=(step,),
        activation=settings.activation,
    ).eval()
