"""Whether the teachers know more than their student."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from aum_edge.data.datamodule import AudioData
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation import Distillation
from aum_edge.training.history import Row
from aum_edge.training.launch import leader_first
from aum_edge.training.teacher import teacher_logits
from aum_edge.training.validation import score_rows

log = logging.getLogger(__name__)


def teacher_score(distillation: Distillation, data: AudioData, config: TrainConfig) -> float | None:
    """The teachers' common value of ``monitor`` on the validation clips, as a student's is told.

    None where only logits on the training clips are known.
    """
    if not distillation.teachers:
        return None
    with leader_first():
        logits = teacher_logits(
            distillation.teachers,
            data,
            data.cache_dir,
            distillation.progress,
            weights=distillation.weights,
            kind=config.loss,
            split="val",
        )
    arrays = data.arrays["val"]
    truth = arrays.labels if arrays.targets is None else arrays.targets
    return score_rows(logits, torch.from_numpy(truth), config.loss)[config.monitor]


def compare(teacher: float, history: Sequence[Row], config: TrainConfig, title: str) -> None:
    """Say how student and teachers stand on the validation clips; warn when they taught a better.

    ``history`` is the student's, of at least one epoch.
    """
    values = [float(row[f"val_{config.monitor}"]) for row in history]
    lower = config.monitor_mode == "min"
    student = min(values) if lower else max(values)
    weaker = teacher > student if lower else teacher < student
    name = config.monitor.replace("_", " ")
    if weaker:
        log.warning(
            "%s: the teachers' val %s is %.3f and the student's %.3f: they are worse than what "
            "they teach; better teachers or a smaller `kd_lambda` may help.",
            title,
            name,
            teacher,
            student,
        )
    else:
        log.info("%s: val %s %.3f, of its teachers %.3f", title, name, student, teacher)
