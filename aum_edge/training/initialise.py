"""A model directory as the start of a training."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict
from pathlib import Path

from aum_edge.audio.config import FrontEndConfig
from aum_edge.checkpoints.initialise import Rule, initialise_from
from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier, load
from aum_edge.models.storage.directory import WEIGHTS

log = logging.getLogger(__name__)
LENGTH = "clip_seconds"
"""The one value of a front end that may differ unsaid: positions are resized."""


def initial_model(model: AudioClassifier, folder: Path, rule: Rule = "aum") -> None:
    """Give ``model`` the weights in ``folder``, log what differs and add both to its lineage.

    The head is taken over when the labels are the same. Another front end is allowed and warned
    of: weights then get features that they were not made for.

    Raises:
        CheckpointError: If the folder holds no model, another network, or int8 weights.
    """
    source = load(folder)
    if source.quantization:
        raise CheckpointError(
            f"{folder} holds a quantized model, which is no start for training: give the model "
            "that it was made from."
        )
    try:
        same = source.labels == model.labels
        notes = initialise_from(model.backbone, source.backbone, rule, keep_head=same)
    except CheckpointError as error:
        raise CheckpointError(f"Cannot start from {folder}: {error}") from error
    for note in notes:
        log.info("start from %s: %s", folder, note)
    differences = front_end_differences(source.frontend, model.frontend)
    if differences:
        text = "The front end is another than the start's: " + "; ".join(differences) + "."
        log.warning("start from %s: %s", folder, text)
        notes = [*notes, text]
    *before, step = model.lineage
    step = {**step, "init": str(folder), "init_rule": rule, "notes": list(notes)}
    model.lineage = (*source.lineage, *before, step)


def initial_model_key(folder: str) -> str:
    """Hash of the weights to start from, so that a changed start is a changed training.

    Empty without a folder, or when it holds no weights: :func:`initial_model` says so in its turn.
    """
    if not folder:
        return ""
    weights = Path(folder) / WEIGHTS
    if not weights.is_file():
        return ""
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def front_end_differences(old: FrontEndConfig, new: FrontEndConfig) -> list[str]:
    """Every setting but the clips' length that differs, as ``name old, here new``."""
    theirs, ours = asdict(old), asdict(new)
    return [
        f"{name} {theirs[name]}, here {ours[name]}"
        for name in ours
        if name != LENGTH and theirs[name] != ours[name]
    ]
