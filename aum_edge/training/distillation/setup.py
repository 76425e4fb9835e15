"""Distillation of one training: teachers checked, soft targets, hooks and loss set up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig
from aum_edge.core.distributed import rank_zero_first
from aum_edge.core.progress import Progress
from aum_edge.data.datamodule import AudioData
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.training.config import TrainConfig
from aum_edge.training.distillation.config import DistillConfig
from aum_edge.training.distillation.ensemble import (
    EnsembleMember,
    teacher_ensemble,
    warn_of_smaller,
)
from aum_edge.training.distillation.features import (
    FeatureHooks,
    FeatureLoss,
    block_groups,
    pair_by_depth,
)
from aum_edge.training.distillation.targets import LiveTargets, StoredTargets, TargetSource
from aum_edge.training.distillation.teacher_logits import teacher_features, teacher_logits
from aum_edge.training.distillation.view_cache import ViewCache, view_key
from aum_edge.training.loop.history import Row
from aum_edge.training.metrics.validation import score_rows

log = logging.getLogger(__name__)
Shapes = list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Teachers of any kind, or their logits (n_train, C) on the training clips, and the loss.

    Logits that are given take the place of those of the teachers where outputs are ``cached``.
    """

    config: DistillConfig
    logits: Tensor | None = None
    teachers: tuple[AudioClassifier, ...] = ()
    weights: tuple[float, ...] = ()
    """How much each teacher counts; empty is all alike."""
    progress: Progress | None = None


@dataclass(frozen=True)
class DistillationPlan:
    """Source of soft targets, and hooks and loss of feature distillation."""

    config: DistillConfig
    targets: TargetSource
    hooks: FeatureHooks | None = None
    """Where the student's tokens are taken."""
    token_loss: FeatureLoss | None = None


@dataclass(frozen=True)
class _Pairs:
    """Matched blocks, and where each side's tokens are taken."""

    student: FeatureHooks
    teacher: FeatureHooks
    blocks: tuple[int, ...]
    """Of the teacher."""
    student_shapes: Shapes
    teacher_shapes: Shapes


def plan_distillation(
    distillation: Distillation,
    model: AudioClassifier,
    data: AudioData,
    config: TrainConfig,
    seed: int,
) -> DistillationPlan:
    """Set up the distillation of one training; outputs that can be computed now, are.

    Raises:
        RecipeError: If teachers, settings, student and data do not fit together.
    """
    settings = distillation.config
    if distillation.teachers:
        members = teacher_ensemble(distillation.teachers, data.labels, distillation.weights)
        warn_of_smaller(members, model)
    else:
        _check_logits_alone(distillation, data)
        members = ()
    pairs = _pairs(settings, model, members) if settings.feature_weight else None
    _check_store(settings, data, pairs)
    if settings.teaching == "cached":
        targets = _stored(distillation, data, config, pairs)
    else:
        _check_live(settings, config, model.frontend, members)
        store = None
        if settings.teaching == "views":
            key = view_key(model, data, config, seed, members, pairs.blocks if pairs else ())
            store = ViewCache(data.cache_dir / f"views-{key}", settings.views)
        hooks = pairs.teacher if pairs else None
        targets = LiveTargets(
            members, model.frontend, hooks, settings.temperature, config.loss, store
        )
    if pairs is None:
        return DistillationPlan(settings, targets)
    loss = FeatureLoss(pairs.student_shapes, pairs.teacher_shapes, seed)
    return DistillationPlan(settings, targets, pairs.student, loss)


def needs_waveforms(distillation: Distillation | None, model: AudioClassifier) -> bool:
    """Whether some teacher has a front end of its own and so needs waveforms."""
    if distillation is None or distillation.config.teaching == "cached":
        return False
    return any(teacher.frontend != model.frontend for teacher in distillation.teachers)


def _stored(
    distillation: Distillation, data: AudioData, config: TrainConfig, pairs: _Pairs | None
) -> TargetSource:
    settings, teachers = distillation.config, distillation.teachers
    logits, tokens = distillation.logits, None
    with rank_zero_first():
        if logits is None:
            logits = teacher_logits(
                teachers,
                data,
                data.cache_dir,
                distillation.progress,
                weights=distillation.weights,
                kind=config.loss,
            )
        if pairs:
            tokens = teacher_features(
                teachers[0], data, data.cache_dir, pairs.blocks, distillation.progress
            )
    return StoredTargets(logits, tokens, settings.temperature, config.loss)


def _pairs(
    settings: DistillConfig, model: AudioClassifier, members: tuple[EnsembleMember, ...]
) -> _Pairs:
    if not members:
        raise RecipeError("`distill.feature_weight` needs a teacher, not its logits alone.")
    teacher = members[0].model
    if teacher.frontend.clip_seconds != model.frontend.clip_seconds:
        raise RecipeError(
            f"`distill.feature_weight` matches moments of a clip: the teacher's has "
            f"{teacher.frontend.clip_seconds} s, the student's {model.frontend.clip_seconds} s; "
            "set it to 0 or take clips of one length."
        )
    pairs = settings.feature_pairs or pair_by_depth(
        len(block_groups(model.backbone)), len(block_groups(teacher.backbone))
    )
    mine, theirs = (tuple(side) for side in zip(*pairs, strict=True))
    taps = FeatureHooks(model, mine), FeatureHooks(teacher, theirs)
    return _Pairs(taps[0], taps[1], theirs, taps[0].shapes(model), taps[1].shapes(teacher))


def _check_logits_alone(distillation: Distillation, data: AudioData) -> None:
    settings, logits = distillation.config, distillation.logits
    if logits is None or settings.teaching != "cached":
        raise RecipeError(
            f"`distill.teaching: {settings.teaching}` needs at least one teacher, got none."
        )
    wanted = (len(data.arrays["train"]), len(data.labels))
    if tuple(logits.shape) != wanted:
        raise RecipeError(
            f"The teacher's logits must be {wanted} for the training clips and classes, got "
            f"{tuple(logits.shape)}."
        )


def _check_store(settings: DistillConfig, data: AudioData, pairs: _Pairs | None) -> None:
    """Refuse more stored outputs than are allowed, before anything is computed."""
    if settings.teaching == "online" or (settings.teaching == "cached" and pairs is None):
        return
    values = sum(t * d for t, d in pairs.teacher_shapes) if pairs else 0
    row = 8 + 4 * len(data.labels) + 2 * values
    size = row * len(data.arrays["train"]) * max(1, settings.views) / 1e9
    if size > settings.store_gb:
        raise RecipeError(
            f"Stored answers would take {size:.2g} GB, `distill.store_gb` allows "
            f"{settings.store_gb}: raise it, give fewer `views` or `feature_pairs`, or "
            "`teaching: online`."
        )


def _check_live(
    settings: DistillConfig,
    config: TrainConfig,
    frontend: FrontEndConfig,
    members: tuple[EnsembleMember, ...],
) -> None:
    if settings.teaching == "views" and config.batches.size_by_epoch:
        raise RecipeError(
            f"`batches.size_by_epoch` {config.batches.size_by_epoch} changes the batches that "
            "`distill.teaching: views` repeats: take it out or give cached or online."
        )
    for member in members:
        theirs = member.model.frontend
        for name in ("sample_rate", "clip_seconds", "padding"):
            if getattr(theirs, name) != getattr(frontend, name):
                raise RecipeError(
                    f"`distill.teaching: {settings.teaching}` gives teachers the student's "
                    f"waveforms, but the {type(member.model.backbone).__name__} has `{name}` "
                    f"{getattr(theirs, name)} and the student {getattr(frontend, name)}: give "
                    "`teaching: cached`."
                )


def teacher_score(distillation: Distillation, data: AudioData, config: TrainConfig) -> float | None:
    """The ensemble's value of ``monitor`` on the validation clips, as a student's is computed.

    None where only logits on the training clips are known.
    """
    if not distillation.teachers:
        return None
    with rank_zero_first():
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


def compare_with_teachers(
    teacher: float, history: Sequence[Row], config: TrainConfig, title: str
) -> None:
    """Log validation scores of student and teachers; warn when the teachers are worse.

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
