"""The verbs that need data: train, distill, prune and quantize a model, and label audio.

Every verb takes models as objects or as paths and gives a new object back. It shows nothing of its
progress unless ``data.progress``, or ``progress``, is there to be told.
"""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from aum_edge.checkpoints.initialise import initialise_from
from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.pruning.importance import Batch
from aum_edge.compression.pruning.prune import prune as prune_by_batches
from aum_edge.compression.quantization.calibration import Calibration
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.qat import train_quantized
from aum_edge.compression.quantization.quantize import quantize as quantize_by_clips
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import AudioError, CheckpointError, RecipeError
from aum_edge.models.architectures.masked_patch import MaskedPatchConfig
from aum_edge.models.classifier import Activation, AudioClassifier
from aum_edge.models.registry import build
from aum_edge.models.storage.directory import as_model
from aum_edge.pipeline.stages.challenge_rules import data_name
from aum_edge.pipeline.stages.data import training_batches
from aum_edge.pipeline.stages.quantize import calibration_clips, float_teacher
from aum_edge.runtimes.predictor import open_predictor
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit as train_in_place
from aum_edge.training.initialise import front_end_differences
from aum_edge.training.loop.history import Row

Ranking = list[tuple[str, float]]
"""(label, probability) pairs, the most probable first."""
Model = AudioClassifier | str | Path
"""A classifier, or the path of its model directory or run directory."""


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
        teachers: Float models that know the data's classes; their logits are averaged. They may
            have front ends of their own.
        data: Made with ``student.frontend``.
        config: Temperature, weight of the soft targets, and which version of a clip is taught.
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
    distillation = Distillation(
        config=config or DistillConfig(),
        teachers=tuple(as_model(teacher) for teacher in several),
        progress=data.progress,
    )
    return _train(as_model(student), data, train, distillation, (work_dir, seed))


def prune(
    model: Model,
    config: PruneConfig | None = None,
    data: AudioData | Iterable[Batch] | None = None,
    progress: Progress | None = None,
    *,
    seed: int = 0,
) -> AudioClassifier:
    """A smaller copy of the model within both limits, with the units that matter most.

    There is no training between the cuts: distill or fit the result afterwards.

    Args:
        model: A float student or AuM; it is left alone.
        config: Limits, what may be cut, and the importance of a unit.
        data: Training clips for importances, or batches of them; without any, importance is that
            of the weights alone (``magnitude``), whatever the settings say.
        progress: Told (steps done, steps in all, what was reached).
        seed: Which training clips are drawn.

    Raises:
        CompressionError: Limits out of reach, no Mamba blocks, or a quantized model.
    """
    config, model = config or PruneConfig(), as_model(model)
    if data is None:
        return prune_by_batches(model, replace(config, importance="magnitude"), [], progress)
    if not isinstance(data, AudioData):
        return prune_by_batches(model, config, data, progress)
    _check_front_end(model, data)
    data.setup()
    return prune_by_batches(model, config, training_batches(data, seed), progress)


def quantize(
    model: Model,
    config: QuantizeConfig | None = None,
    data: AudioData | Calibration | None = None,
    *,
    teachers: Sequence[Model] = (),
    work_dir: str | Path | None = None,
    seed: int = 0,
) -> AudioClassifier:
    """A copy with int8 weights, one scale an output channel; the scan stays float.

    Args:
        model: The float model; it is left alone.
        config: What is stored how; with ``qat`` the rounded network is trained.
        data: Needed for ``qat``, and there or as clips for rounded activations and ``keep_float:
            auto``; weights are rounded without any.
        teachers: Of ``qat`` with ``distill: teachers``.
        work_dir: Of ``qat``, as that of :func:`fit`.
        seed: Of the calibration clips, and of ``qat``.

    Raises:
        CompressionError: The model is quantized already, nothing is left to quantize, or the
            settings need clips and there are none.
        RecipeError: ``qat`` without data, or without teachers where it asks for them.
    """
    config, model = config or QuantizeConfig(), as_model(model)
    if not isinstance(data, AudioData):
        if config.qat is not None:
            raise RecipeError("`quantize.qat` trains the rounded network: give it AudioData.")
        return quantize_by_clips(model, config, data)
    _check_front_end(model, data)
    data.setup()
    clips = calibration_clips(data, config.calibration.clips, seed)
    if config.qat is None:
        return quantize_by_clips(model, config, clips)
    distillation = None
    if config.qat.distill == "float":
        distillation = float_teacher(model, DistillConfig().temperature, data.progress)
    elif config.qat.distill == "teachers":
        if not teachers:
            raise RecipeError("`quantize.qat.distill: teachers` needs at least one teacher.")
        distillation = Distillation(
            config=DistillConfig(), teachers=tuple(map(as_model, teachers)), progress=data.progress
        )
    with _work_folder(work_dir) as folder:
        return train_quantized(
            model, config, data, folder, clips=clips, seed=seed, distillation=distillation
        ).model


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


def _train(
    model: AudioClassifier,
    data: AudioData,
    config: TrainConfig | None,
    distillation: Distillation | None,
    how: tuple[str | Path | None, int],
) -> AudioClassifier:
    """Train a copy; ``how`` is the work folder and the seed."""
    config, (work_dir, seed) = config or TrainConfig(), how
    _check_front_end(model, data)
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

    with _work_folder(work_dir) as folder:
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


def _check_front_end(model: AudioClassifier, data: AudioData) -> None:
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


def _for_classes(
    model: AudioClassifier, data: AudioData, config: TrainConfig, step: dict[str, Any]
) -> AudioClassifier:
    """A float copy of the model that answers for the data's classes; ``step`` joins its lineage."""
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


@contextlib.contextmanager
def _work_folder(path: str | Path | None) -> Iterator[Path]:
    """The folder given, or a temporary one that is gone afterwards."""
    if path is not None:
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="aum-edge-fit-") as folder:
        yield Path(folder)
