"""A folder that transformers wrote: its weights, and its configs as flags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from aum_edge.checkpoints.read import read_checkpoint
from aum_edge.core.text import one_line
from aum_edge.errors import CheckpointError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CONFIG, FRONT_END = "config.json", "preprocessor_config.json"
MODEL_TYPE = "audio-spectrogram-transformer"
FIELDS = (
    "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act "
    "hidden_dropout_prob attention_probs_dropout_prob layer_norm_eps patch_size qkv_bias "
    "frequency_stride time_stride max_length num_mel_bins"
).split()
"""Of config.json, those that say what the weights mean."""


def read_folder(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and flags of a saved ASTModel or classifier, or of a Trainer's checkpoint-N.

    Labels come from ``id2label`` unless they are transformers' own LABEL_0, LABEL_1, ...; mean and
    deviation from the feature extractor's file, if there is one. Nothing else is opened.

    Raises:
        CheckpointError: If a file is missing, damaged or of another model.
    """
    config = _json(folder / CONFIG)
    kind = config.get("model_type")
    if kind != MODEL_TYPE:
        raise CheckpointError(f"{folder} holds a model of type {kind!r}, not {MODEL_TYPE!r}.")
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(
            f"{folder} has no weights: one of {', '.join(WEIGHTS)} is needed, in one file."
        )
    flags = {name: config[name] for name in FIELDS if name in config}
    flags |= _labels(config) | _normalization(folder)
    return read_checkpoint(path).tensors, flags


def _labels(config: dict[str, Any]) -> dict[str, Any]:
    table = config.get("id2label")
    if not isinstance(table, dict) or not table:
        return {}
    try:
        names = [str(table[str(index)]) for index in range(len(table))]
    except KeyError as error:
        raise CheckpointError(f"`id2label` of {CONFIG} has no class {error}.") from error
    own = [f"LABEL_{index}" for index in range(len(table))]
    return {} if names == own else {"labels": names}


def _normalization(folder: Path) -> dict[str, Any]:
    if not (folder / FRONT_END).is_file():
        return {}
    values = _json(folder / FRONT_END)
    if values.get("do_normalize") is False:
        return {"dataset_mean": 0.0, "dataset_std": 0.5}
    names = {"mean": "dataset_mean", "std": "dataset_std", "sampling_rate": "sample_rate"}
    return {ours: values[name] for name, ours in names.items() if name in values}


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(
            f"There is no {path}: give the folder that save_pretrained or a Trainer wrote."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {one_line(error)}.") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} must hold a JSON object.")
    return values
