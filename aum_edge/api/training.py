"""Train a model on labels, or distill teachers into it.

Progress is shown where ``data.progress`` is set.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aum_edge.api.inputs import Model, check_data, check_front_end, work_folder
from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import CheckpointError, RecipeError
from aum_edge.models.architectures.masked_patch import MaskedPatchConfig
from aum_edge.models.classifier import Activation, AudioClassifier, as_model
from aum_edge.models.registry import build
from aum_edge.pipeline.stages.challenge_rules import data_name
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit as train_in_place
from aum_edge.training.loop.history import Row


def fit(
    model: Model,
    data: AudioData,
    config: TrainConfig | None = None,
    *,
    work_dir: str | Path | None = None,
    seed: int = 0,
) -> AudioClassifier:
    """Train a copy of a model on labels, and return it with the weights that ``keep`` says.

    Args:
        model: Where training starts; it is left alone. Where the data have other classes, the
            copy starts with a fresh head for these.
        data: Made with ``model.frontend``.
        config: Epochs, learning rate, augmentation and the rest.
        work_dir: Where checkpoints and history.csv are kept, so that a training that was stopped
            goes on; a temporary folder if none.
        seed: Of a fresh head, of the batches and of the augmentation.

    Raises:
        RecipeError: If settings, data and model do not fit together.
        CheckpointError: If the model is quantized, or an encoder without classes.
    """
    return _train(as_model(model), data, config, None, (work_dir, seed))


def distill(
    student: Model,
    teachers: Model | Sequence[Model],
    data: AudioData,
    config: DistillConfig | None = None,
    train: TrainConfig | None = None,
    *,
    work_dir: str | Path | None = None,
    seed: int = 0,
) -> AudioClassifier:
    """Train a copy of a student on labels and on the soft targets of one teacher or several.

    Args:
        student: As the model of :func:`fit`.
        teachers: Float models with the data's classes; their logits are averaged. They may
            have front ends of their own.
        data: Made with ``student.frontend``.
        config: Temperature, weight of the soft targets, and which view of a clip the teacher sees.
        train: Epochs, learning rate, augmentation and the rest.
        work_dir: As that of :func:`fit`.
        seed: As that of :func:`fit`.

    Raises:
        RecipeError: If settings, data, teachers and student do not fit together.
        CheckpointError: As :func:`fit`.
    """
    several = [teachers] if isinstance(teachers, Model) else list(teachers)
    if not several:
        raise RecipeError("Distillation needs at least one teacher, got none.")
    check_data(data)
    if config is not None and not isinstance(config, DistillConfig):
        raise RecipeError(
            f"The fourth argument is a DistillConfig, got {type(config).__name__}: give a "
            "TrainConfig as `train=`."
        )
    distillation = Distillation(
        config=config or DistillConfig(),
        teachers=tuple(as_model(teacher) for teacher in several),
        progress=data.progress,
    )
    return _train(as_model(student), data, train, distillation, (work_dir, seed))


def _train(
    model: AudioClassifier,
    data: AudioData,
    config: TrainConfig | None,
    distillation: Distillation | None,
    how: tuple[str | Path | None, int],
) -> AudioClassifier:
    """Train a copy; ``how`` is the work folder and the seed."""
    config, (work_dir, seed) = config or TrainConfig(), how
    check_front_end(model, data)
    data.setup()
    torch.manual_seed(seed)
    step: dict[str, Any] = {"step": "distill" if distillation else "fit", "seed": seed}
    step |= {"loss": config.loss, "data": data_name(data.config)}
    copied = _for_classes(model, data, config, step)
    progress, epochs = data.progress, config.epochs

    def on_epoch(history: Sequence[Row]) -> None:
        if progress:
            value = history[-1][f"val_{config.monitor}"]
            progress(len(history), epochs, f"epochs, val {config.monitor} {value:.3f}")

    with work_folder(work_dir) as folder:
        return train_in_place(
            copied,
            data,
            config,
            folder,
            seed=seed,
            title=step["step"],
            distillation=distillation,
            on_epoch=on_epoch,
        ).model


def _for_classes(
    model: AudioClassifier, data: AudioData, config: TrainConfig, step: dict[str, Any]
) -> AudioClassifier:
    """A float copy of the model with the data's classes as outputs; ``step`` joins its lineage."""
    if model.quantization and model.quantization.get("bits") == 8:
        raise CheckpointError(
            "This model is quantized, which is no start for training: give the model that it was "
            "made from."
        )
    old = model.backbone.config
    if isinstance(old, MaskedPatchConfig):
        raise CheckpointError(
            "This model is an encoder without classes: fine-tune it with `teacher.model.init` in "
            "a recipe."
        )
    activation: Activation = "sigmoid" if config.loss == "bce" else "softmax"
    if model.labels == data.labels:
        backbone = copy.deepcopy(model.backbone)
    else:
        backbone = build(replace(old, n_classes=len(data.labels)))
        step["notes"] = initialise_from(backbone, model.backbone, keep_head=False)
    return AudioClassifier(
        backbone,
        frontend=model.frontend,
        normalization=model.normalization,
        labels=tuple(data.labels),
        lineage=(*model.lineage, step),
        activation=activation,
    )
