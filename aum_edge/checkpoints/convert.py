"""Conversion of published checkpoints: AuM, SSAMBA, Vim, audio-mamba-asc and AST, by their kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

from aum_edge.checkpoints.hf_folder import read_folder
from aum_edge.checkpoints.read import read_checkpoint
from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.storage.directory import save

Kind = Literal["aum", "ssamba", "vim", "asc", "ast-ssl"]
Convert = Callable[[Mapping[str, Tensor], Mapping[str, Any]], AudioClassifier]
FOLDERS = ("ast-ssl",)
"""Kinds that are published as Hugging Face folders too."""


def from_upstream(
    state_dict: Mapping[str, Tensor], kind: Kind, flags: Mapping[str, Any] | None = None
) -> AudioClassifier:
    """A published checkpoint as a model of ours that gives the same logits.

    Args:
        state_dict: Tensors under upstream's names, with or without ``module.``.
        kind: Whose checkpoint it is.
        flags: Upstream's own flags, of its training script or its constructor, in any mix; what
            they mean here stands in the module of the kind. ``labels`` or ``label_csv`` name the
            classes; ``dataset_mean`` and ``dataset_std`` are those of its training.

    Returns:
        The model in eval mode. What was resized, left out or started fresh is in the ``notes`` of
        its last lineage step.

    Raises:
        CheckpointError: If a tensor is missing, unexpected or of another shape than the flags say.
        RecipeError: If the kind or a flag is unknown.
        DataError: If the label table is wrong.
    """
    if kind not in get_args(Kind):
        raise RecipeError(f"`kind` must be one of {', '.join(get_args(Kind))}, got {kind!r}.")
    name = kind.replace("-", "_")
    module = import_module(f"aum_edge.checkpoints.{name}")
    convert: Convert = getattr(module, f"convert_{name}")
    return convert(state_dict, flags or {})


def convert(
    checkpoint: str | Path,
    out: str | Path | None = None,
    *,
    kind: Kind,
    flags: Mapping[str, Any] | str | Path | None = None,
) -> AudioClassifier:
    """A published checkpoint as a model of ours that gives the same logits.

    Args:
        checkpoint: .pth, .pt, .bin, .ckpt or .safetensors; for ``ast-ssl`` also a Hugging Face
            folder. Nothing in it is run.
        out: Model directory to write; none is written without it.
        kind: Whose checkpoint it is: aum, ssamba, vim, asc or ast-ssl.
        flags: Upstream's flags, or a JSON file with them.

    Returns:
        The model in eval mode. What was resized, left out or started fresh is in the ``notes`` of
        its last lineage step.

    Raises:
        CheckpointError: If the file is unreadable, or is of another network than the flags say.
        RecipeError: If the kind or a flag is unknown, or the flags file is no JSON object.
        DataError: If the label table is wrong.
    """
    given = read_flags(Path(flags)) if isinstance(flags, str | Path) else dict(flags or {})
    checkpoint = Path(checkpoint)
    if kind in FOLDERS and checkpoint.is_dir():
        tensors, written = read_folder(checkpoint)
        given = written | given
    else:
        wrapper = given.get("imagenet_pretrain_modelkey") if kind == "vim" else None
        tensors = read_checkpoint(checkpoint, wrapper).tensors
    model = from_upstream(tensors, kind, given)
    if out is not None:
        save(model, out)
    return model


def read_flags(path: Path) -> dict[str, Any]:
    """Flags of a JSON file.

    Raises:
        RecipeError: If the file is missing or no JSON object.
    """
    try:
        flags = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"There is no flags file {path}: give a JSON object.") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} is no JSON: {error}.") from error
    if not isinstance(flags, dict):
        raise RecipeError(f'{path} must hold a JSON object such as {{"n_class": 35}}.')
    return flags
