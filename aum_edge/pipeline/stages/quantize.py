"""Quantization: int8 weights, measured choices of precision, training of the rounded network."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from aum_edge.compression.quantization.calibration import Calibration, draw
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.qat import train_quantized
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.compression.quantization.sensitivity import choose
from aum_edge.core.distributed import is_rank_zero, require_launch
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.models.classifier import AudioClassifier
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.train import distillation, keep, scores
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.metrics.classification import predict_logits


def quantize_student(run: Run, folder: Path) -> dict[str, Any]:
    """The student as the recipe stores it; agreement with the float model on the test clips."""
    settings = run.recipe.quantize
    if settings.qat:
        trainer = settings.qat.train.trainer
        require_launch(trainer.devices, trainer.num_nodes)
    model = run.model("prune")
    clips = calibration_clips(run.data, settings.calibration.clips, run.recipe.seed)
    details: dict[str, Any] = {}
    small = round_model(run, folder, model, settings, clips, details)
    keep(small, folder / "model")
    if not is_rank_zero():
        return {}
    features = run.data.arrays["test"].features
    same = predict_logits(small, features).argmax(1) == predict_logits(model, features).argmax(1)
    return {**scores(run, small), "agreement_with_float": float(same.float().mean()), **details}


def calibration_clips(data: AudioData, count: int, seed: int) -> Calibration:
    """Training clips for ranges and sensitivities, drawn by the seed."""
    train = data.arrays["train"]
    labels = train.labels if train.targets is None else None
    return draw(train.features, labels, count, seed)


def round_model(
    run: Run,
    folder: Path,
    model: AudioClassifier,
    config: QuantizeConfig,
    clips: Calibration,
    details: dict[str, Any],
) -> AudioClassifier:
    """A model rounded at once, or trained; ``details`` gets what a training records."""
    if config.keep_float == "auto":
        config, sweep = choose(model, config, clips, run.progress)
        details["sensitivity"] = sweep.to_dict()
    if config.qat is None:
        return quantize(model, config, clips)
    result = train_quantized(
        model,
        config,
        run.data,
        folder / "fit",
        clips=clips,
        seed=run.recipe.seed,
        distillation=_qat_teacher(run, model, config.qat.distill),
    )
    details |= {"history": result.history, "best_epoch": result.best_epoch}
    return result.model


def _qat_teacher(run: Run, model: AudioClassifier, distill: str) -> Distillation | None:
    """The teachers of quantization-aware training."""
    if distill == "none":
        return None
    if distill == "teachers":
        return distillation(run)
    return float_teacher(model, run.recipe.student.distill.temperature, run.progress)


def float_teacher(
    model: AudioClassifier, temperature: float, progress: Progress | None
) -> Distillation:
    """The float model alone as the teacher of its rounded form, on the same varied clips."""
    alone = DistillConfig(temperature=temperature, kd_lambda=1.0, teaching="online")
    return Distillation(config=alone, teachers=(model,), progress=progress)


STAGES = (
    Stage(
        name="quantize",
        needs=("prune", "teacher"),
        settings=lambda r: {"seed": r.seed, "quantize": asdict(r.quantize)},
        work=quantize_student,
        trains=True,
    ),
)
