"""Conversion of published checkpoints (AuM, SSAMBA, Vim, audio-mamba-asc, AST) by their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Literal, get_args

from torch import Tensor

from aum_edge.errors import RecipeError
from aum_edge.models.classifier import AudioClassifier

Kind = Literal["aum", "ssamba", "vim", "asc", "ast-ssl"]
Convert = Callable[[Mapping[str, Tensor], Mapping[str, Any]], AudioClassifier]


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
