"""Quantization-aware training: the rounded network learns, and ends as a plain int8 model."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aum_edge.compression.quantization import fake_quant
from aum_edge.compression.quantization.calibration import Calibration
from aum_edge.compression.quantization.config import QatConfig, QuantizeConfig
from aum_edge.compression.quantization.layout import layout_of
from aum_edge.compression.quantization.quantize import Grids, find_grids, prepared, store
from aum_edge.compression.quantization.sensitivity import choose
from aum_edge.core.distributed import launched
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.batch import with_batches_of
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit
from aum_edge.training.loop.history import Row
from aum_edge.training.metrics.classification import predict_logits
from aum_edge.training.metrics.validation import Predictions


@dataclass(frozen=True)
class QatResult:
    """The int8 model at its best epoch, and every epoch's numbers."""

    model: AudioClassifier
    history: list[Row]
    best_epoch: int
    """From 1; 0 where training did not pay and the model is the one it started from."""


def train_quantized(
    model: AudioClassifier,
    config: QuantizeConfig,
    data: AudioData,
    work_dir: Path,
    *,
    clips: Calibration | None = None,
    seed: int = 0,
    distillation: Distillation | None = None,
) -> QatResult:
    """Train ``model`` as ``config`` will store it, and store it so; ``model`` is left alone.

    It starts from the grids that ``quantize`` would use; weights, scales and input grids learn,
    and for the last ``freeze_epochs`` the grids stand still. The best epoch by validation is that
    of the rounded network, and the untrained start is one of the candidates. ``work_dir`` resumes
    as that of ``fit`` does.

    Raises:
        RecipeError: No ``qat`` in the settings, or several devices without a strategy for layers
            that stop learning; and whatever ``fit`` raises.
        CompressionError: As :func:`~aum_edge.compression.quantization.quantize.quantize`.
    """
    settings = config.qat
    if settings is None:
        raise RecipeError("There is nothing to train: give `quantize.qat` settings.")
    _check_devices(settings)
    folded = prepared(model)
    if config.keep_float == "auto" and clips is not None:
        config, _ = choose(folded, config, clips)
    layout = layout_of(folded.backbone, config)
    grids = find_grids(folded, layout, config, clips)
    trained = copy.deepcopy(folded)
    batches = _batches_before_freeze(data, settings)
    fake_quant.attach(trained.backbone, grids.scales, grids.inputs, config.scale_dtype, batches)
    result = fit(
        trained,
        data,
        settings.train,
        work_dir,
        seed=seed,
        title="quantized student",
        distillation=distillation,
    )
    start = store(copy.deepcopy(folded), layout, grids, config, clips)
    floats, scales, inputs = fake_quant.learned(result.model.backbone)
    folded.backbone.load_state_dict(floats)
    note: dict[str, Any] = {"training": "qat", "best_epoch": result.best_epoch}
    small = store(folded, layout, Grids(scales, inputs), config, clips, note)
    if _better(start, small, data, settings.train):
        return QatResult(start, result.history, 0)
    return QatResult(small, result.history, result.best_epoch)


def _better(
    start: AudioClassifier, trained: AudioClassifier, data: AudioData, config: TrainConfig
) -> bool:
    """Whether training has not paid on the validation split, by its monitor and then by loss."""
    rows = []
    arrays = data.arrays["val"]
    truth = torch.from_numpy(
        np.asarray(arrays.labels if arrays.targets is None else arrays.targets)
    )
    for model in (start, trained):
        logits = predict_logits(model, arrays.features)
        predictions = Predictions()
        predictions.add(torch.arange(len(logits)), logits, truth)
        scores = predictions.scores(config.loss)
        sign = 1 if config.monitor_mode == "max" else -1
        rows.append((sign * scores[config.monitor], -scores["loss"]))
    return rows[0] > rows[1]


def _batches_before_freeze(data: AudioData, config: QatConfig) -> int:
    """Training batches of one process until the grids stand still."""
    shared = with_batches_of(data, config.train)
    world = launched(config.train.trainer.devices, config.train.trainer.num_nodes)
    learning = config.train.epochs - config.freeze_epochs
    return sum(shared.train_batches(epoch, world[0] * world[1]) for epoch in range(learning))


def _check_devices(config: QatConfig) -> None:
    trainer = config.train.trainer
    alone = launched(trainer.devices, trainer.num_nodes) == (1, 1)
    patient = trainer.strategy == "ddp_find_unused_parameters_true"
    if config.freeze_epochs and not alone and not patient:
        raise RecipeError(
            "Qat on several devices freezes grids, which `trainer.strategy: "
            f"{trainer.strategy}` takes for a fault: give ddp_find_unused_parameters_true, or "
            "`freeze_epochs: 0`."
        )
