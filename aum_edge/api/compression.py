"""Prune a model to a budget, or quantize it, with training clips where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from aum_edge.api.inputs import Model, check_data, check_front_end, work_folder
from aum_edge.compression.pruning.config import PruneConfig
from aum_edge.compression.pruning.importance import Batch
from aum_edge.compression.pruning.prune import prune as prune_by_batches
from aum_edge.compression.quantization.calibration import Calibration
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.qat import train_quantized
from aum_edge.compression.quantization.quantize import quantize as quantize_by_clips
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier, as_model
from aum_edge.pipeline.stages.data import training_batches
from aum_edge.pipeline.stages.quantize import calibration_clips, float_teacher
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation


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
        progress: Called with (steps done, steps in all, what was reached).
        seed: Which training clips are drawn.

    Raises:
        CompressionError: Limits out of reach, no Mamba blocks, or a quantized model.
    """
    config, model = config or PruneConfig(), as_model(model)
    if data is None:
        return prune_by_batches(model, replace(config, importance="magnitude"), [], progress)
    if isinstance(data, str | Path):
        check_data(data)
    if not isinstance(data, AudioData):
        return prune_by_batches(model, config, data, progress)
    check_front_end(model, data)
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
    if isinstance(data, str | Path):
        check_data(data)
    if not isinstance(data, AudioData):
        if config.qat is not None:
            raise RecipeError("`quantize.qat` trains the rounded network: give it AudioData.")
        return quantize_by_clips(model, config, data)
    check_front_end(model, data)
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
    with work_folder(work_dir) as folder:
        return train_quantized(
            model, config, data, folder, clips=clips, seed=seed, distillation=distillation
        ).model
