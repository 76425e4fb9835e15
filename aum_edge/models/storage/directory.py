"""Model directories: config.json, model.safetensors, README.md written; a run's final one found."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from aum_edge.core.files import replaced_folder
from aum_edge.core.text import one_line
from aum_edge.errors import CheckpointError
from aum_edge.models.registry import architecture_of
from aum_edge.models.storage.card import short_card
from aum_edge.models.storage.labels import label_maps
from aum_edge.models.storage.parts import ModelParts

FORMAT_VERSION = 2
"""2: `pooling` of an AuM names the class token too (`class`); 1 pooled it whatever it said."""
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
COUNTERS = "num_batches_tracked"
"""Batch norm's step counters: training state that inference does not need."""
RECIPE, STAGE = "recipe.yaml", "stage.json"
"""What marks a run directory, and a stage of it that is finished."""
FINAL_STAGES = ("quantize", "prune", "distill", "pretrain", "teacher")
"""Stages whose model is the result of a run that went so far, the last one first."""


def model_directory(path: str | Path) -> Path:
    """The model directory that a path names: itself, or the final model of a run.

    Raises:
        CheckpointError: If it is a run in which no model is finished yet.
    """
    path = Path(path)
    if not (path / RECIPE).is_file():
        return path
    for stage in FINAL_STAGES:
        if (path / stage / STAGE).is_file() and (path / stage / "model").is_dir():
            return path / stage / "model"
    raise CheckpointError(
        f"{path} is a run in which no model is finished: go on with `aum-edge run`, or name a "
        "model directory."
    )


def check_target(folder: Path) -> None:
    """Refuse a place for a model that holds something else; long work asks before it starts.

    Raises:
        CheckpointError: If something is there that is no model directory.
    """
    if folder.exists() and not _replaceable(folder):
        raise CheckpointError(
            f"{folder} exists and is no model directory: give a new or an empty folder."
        )


def save(model: ModelParts, folder: str | Path, card: str | None = None) -> None:
    """Write a model directory in one step; a model already there is replaced only at the end.

    Other files beside the old model are kept. ``card`` is the README.md; without it a short one
    is written.

    Raises:
        CheckpointError: If the folder holds something else than a model, or cannot be written.
    """
    folder = Path(folder).resolve()
    check_target(folder)
    try:
        text = json.dumps(describe(model), indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"Cannot save a model as {folder}: its lineage or another entry is no JSON: "
            f"{one_line(error)}."
        ) from error
    card = card or short_card(model, payload_bytes(model))
    try:
        with replaced_folder(folder, (CONFIG, WEIGHTS, CARD)) as draft:
            save_file(stored_tensors(model), draft / WEIGHTS)
            (draft / CONFIG).write_text(text + "\n", encoding="utf-8")
            (draft / CARD).write_text(card, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"Cannot save a model as {folder}: {one_line(error)}.") from error


def describe(model: ModelParts) -> dict[str, Any]:
    """config.json: architecture, front end, normalisation, labels, lineage, quantization."""
    config = model.backbone.config
    return {
        "format_version": FORMAT_VERSION,
        "architecture": architecture_of(config),
        "model": asdict(config),
        "frontend": asdict(model.frontend),
        "normalization": asdict(model.normalization),
        "labels": list(model.labels),
        **label_maps(model.labels),
        "activation": model.activation,
        "lineage": list(model.lineage),
        "quantization": model.quantization,
    }


def stored_tensors(model: ModelParts) -> dict[str, Tensor]:
    """Every tensor that inference needs, on the CPU and in the type it is stored in."""
    half = set((model.quantization or {}).get("float16", ()))
    tensors = {}
    for name, tensor in model.backbone.state_dict().items():
        if not name.endswith(COUNTERS):
            kept = tensor.detach().cpu().half() if name in half else tensor.detach().cpu()
            tensors[name] = kept.clone(memory_format=torch.contiguous_format)
    return tensors


def payload_bytes(model: ModelParts) -> tuple[int, int]:
    """Stored bytes of parameters and of buffers; together the payload of model.safetensors."""
    parameters = {name for name, _ in model.backbone.named_parameters()}
    sizes = {name: t.numel() * t.element_size() for name, t in stored_tensors(model).items()}
    own = sum(size for name, size in sizes.items() if name in parameters)
    return own, sum(sizes.values()) - own


def _replaceable(folder: Path) -> bool:
    """Whether the folder is empty or holds a model, so that nobody's other work is lost."""
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and {"format_version", "architecture"} <= config.keys()
