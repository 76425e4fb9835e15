"""The second stage of the challenge's recipe: the general model, fine-tuned for each device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.compression.quantization.quantize import halve
from aum_edge.core.distributed import broadcast, is_rank_zero, require_launch
from aum_edge.core.files import read_json, write_json
from aum_edge.data.datamodule import AudioData
from aum_edge.data.subset import device_data
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.pipeline.run import Run, Stage
from aum_edge.pipeline.stages.quantize import calibration_clips, round_model
from aum_edge.pipeline.stages.train import distillation, keep
from aum_edge.training.device_finetuning import ALL
from aum_edge.training.distillation.setup import Distillation
from aum_edge.training.fit import fit
from aum_edge.training.metrics.by_device import Scores, device_scores, group_scores, row_scores
from aum_edge.training.metrics.classification import predict_logits, score

Rounding = Callable[[Run, Path, AudioClassifier], AudioClassifier]
"""From a fine-tuned float model to the form that is deployed."""


@dataclass(frozen=True, kw_only=True)
class DeviceTuning:
    """A general model, as it is fine-tuned and as it is deployed."""

    title: str
    start: Path
    """Model directory of the float model."""
    general: Path
    """Model directory of the deployed general model."""
    rounding: Rounding
    kind: str
    """The stage whose training settings its teachers' logits are read for."""


def tune_devices(run: Run, folder: Path) -> dict[str, Any]:
    """A model for each device in ``<device>/model``; scores of both stages, by device and group.

    The control's device models, if asked for, lie below ``control/``. A killed stage goes on in
    the device, and in the epoch, where it was.
    """
    settings = run.recipe.devices
    names = _names(run)
    if not names:
        return {"names": []}
    require_launch(settings.train.trainer.devices, settings.train.trainer.num_nodes)
    student = DeviceTuning(
        title="student",
        start=run.folder("prune") / "model",
        general=run.folder("quantize") / "model",
        rounding=_quantized,
        kind="student",
    )
    made = {"names": list(names), **_tune(run, student, names, folder)}
    if settings.control:
        model = run.folder("control") / "model"
        control = DeviceTuning(
            title="control",
            start=model,
            general=model,
            rounding=lambda _run, _folder, tuned: halve(tuned),
            kind="control",
        )
        made["control"] = _tune(run, control, names, folder / "control")
    return made


def _names(run: Run) -> tuple[str, ...]:
    names = run.recipe.devices.names
    if names == (ALL,):
        return tuple(sorted(set(run.data.arrays["train"].devices) - {""}))
    return names


def _tune(run: Run, family: DeviceTuning, names: tuple[str, ...], folder: Path) -> dict[str, Any]:
    rows = {name: _one_device(run, family, name, folder / name) for name in names}
    return _scores(run, family, rows, folder) if is_rank_zero() else {}


def _one_device(run: Run, family: DeviceTuning, device: str, folder: Path) -> dict[str, Any]:
    """Fine-tune, round and keep one device's model; what happened."""
    done = folder / "device.json"
    if broadcast(done.exists() and (folder / "model").exists()):
        return read_json(done)
    settings = run.recipe.devices
    data = device_data(run.data, device, settings.train.augment.needs_waveforms)
    val = data.arrays["val"]
    result: dict[str, Any] = {
        "train_clips": len(data.arrays["train"]),
        "val_clips": len(val) if device in val.devices else 0,
    }
    general = load(family.general)
    best, result["kept"] = general, "general"
    if result["train_clips"] >= settings.min_clips:
        tuned = _fine_tuned(run, family, device, data, folder)
        marks = {"general": _mark(general, data), "tuned": _mark(tuned, data)}
        result["val"] = marks
        if settings.choose == "tuned" or _pays(marks):
            best, result["kept"] = tuned, "tuned"
    keep(best, folder / "model")
    if is_rank_zero():
        write_json(done, result)
    return result


def _fine_tuned(
    run: Run, family: DeviceTuning, device: str, data: AudioData, folder: Path
) -> AudioClassifier:
    """The general float model after the device's clips, in the form that is deployed."""
    settings = run.recipe.devices
    start, seed, clips = load(family.start), run.recipe.seed, len(data.arrays["train"])
    step = {"step": f"fine-tune on device {device}", "seed": seed, "clips": clips}
    # 16-bit storage computes in float32: as a start it is a float model like any other.
    model = start.with_backbone(start.backbone, step)
    torch.manual_seed(seed)
    result = fit(
        model,
        data,
        settings.train,
        folder / "fit",
        seed=seed,
        title=f"{family.title} for device {device}",
        distillation=_teachers(run, family, device) if settings.distill else None,
    )
    return family.rounding(replace(run, view=data), folder, result.model)


def _teachers(run: Run, family: DeviceTuning, device: str) -> Distillation:
    """The run's teachers by their stored logits, cut to the device's training clips."""
    kind = run.recipe.control.train.loss if family.kind == "control" else None
    whole = distillation(run, kind)
    rows = torch.from_numpy(run.data.arrays["train"].device_rows(device))
    logits = whole.logits
    # Answers to the clips as they are: views and tokens would be another store for each device.
    plain = replace(whole.config, teaching="cached", views=0, feature_weight=0.0, feature_pairs=())
    return replace(whole, config=plain, logits=None if logits is None else logits[rows])


def _quantized(run: Run, folder: Path, model: AudioClassifier) -> AudioClassifier:
    """Rounded as the general model was, with ranges of the device's own clips."""
    config = run.recipe.quantize
    clips = calibration_clips(run.data, config.calibration.clips, run.recipe.seed)
    return round_model(run, folder / "rounding", model, config, clips, {})


def _mark(model: AudioClassifier, data: AudioData) -> Scores:
    """Scores on the validation clips."""
    arrays = data.arrays["val"]
    logits = predict_logits(model, arrays.features)
    rows = np.arange(len(arrays))
    return row_scores(logits, arrays, data.labels, model.activation, rows)


def _pays(marks: dict[str, Scores]) -> bool:
    """Whether the fine-tuned model is the better one on validation clips; test says nothing."""
    old, new = ((row["macro_accuracy"], -row["log_loss"]) for row in marks.values())
    return new > old


def _scores(
    run: Run, family: DeviceTuning, rows: dict[str, dict[str, Any]], folder: Path
) -> dict[str, Any]:
    """Test scores of the general model alone and of every clip by its device's model."""
    arrays, labels = run.data.arrays["test"], run.data.labels
    trained = sorted(set(run.data.arrays["train"].devices) - {""})
    general = load(family.general)
    alone = predict_logits(general, arrays.features, progress=run.progress)
    routed = alone.clone()
    for device in rows:
        of_device = arrays.device_rows(device)
        if len(of_device):
            routed[of_device] = _logits(load(folder / device / "model"), arrays.features, of_device)
    made: dict[str, Any] = {}
    for name, logits in (("general", alone), ("specific", routed)):
        made[name] = {
            "overall": score(logits, arrays, labels, general.activation).to_dict(),
            "devices": device_scores(logits, arrays, labels, general.activation),
            "groups": group_scores(logits, arrays, labels, general.activation, trained),
        }
    return {"models": rows, **made}


def _logits(model: AudioClassifier, features: np.ndarray, rows: np.ndarray) -> Tensor:
    """Logits of some rows, a batch at a time, so that no copy of them all is made."""
    return torch.cat(
        [
            predict_logits(model, features[rows[start : start + 256]])
            for start in range(0, len(rows), 256)
        ]
    )


STAGES = (
    Stage(
        name="devices",
        needs=("prune", "quantize", "teacher", "control"),
        settings=lambda r: (
            {"seed": r.seed, "devices": asdict(r.devices)} if r.devices.names else {}
        ),
        work=tune_devices,
        trains=True,
    ),
)
