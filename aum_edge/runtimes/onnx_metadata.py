"""Metadata of an .onnx file, so that it can be used without its model directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from safetensors.torch import save

import aum_edge
from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.complexity.torch_counter import count
from aum_edge.errors import ExportError, RecipeError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.registry import architecture_of
from aum_edge.models.storage.directory import payload_bytes, stored_tensors

VERSION = "aum_edge.version"


def source_sha256(model: AudioClassifier) -> str:
    """Hash of the stored tensors: that of model.safetensors in the model's directory."""
    return hashlib.sha256(save(stored_tensors(model))).hexdigest()


def describe_model(model: AudioClassifier, extra: Mapping[str, Any]) -> dict[str, str]:
    """metadata_props of a model: texts, structured values as JSON. ``extra`` joins and wins."""
    values: dict[str, Any] = {
        VERSION: aum_edge.__version__,
        "architecture": architecture_of(model.backbone.config),
        "labels": list(model.labels),
        "activation": model.activation,
        "frontend": asdict(model.frontend),
        "normalization": asdict(model.normalization),
        "n_params": sum(parameter.numel() for parameter in model.parameters()),
        "param_bytes": payload_bytes(model)[0],
        "macs": count(model, model.example_input()).macs,
        "source_sha256": source_sha256(model),
        "quantization": _quantization(model),
        "lineage": list(model.lineage),
        **extra,
    }
    return {key: v if isinstance(v, str) else json.dumps(v) for key, v in values.items()}


def _quantization(model: AudioClassifier) -> dict[str, Any] | None:
    """How weights are stored; which layers is visible in the graph."""
    lists = ("layers", "float16")
    values = model.quantization
    return None if values is None else {k: v for k, v in values.items() if k not in lists}


@dataclass(frozen=True)
class FileMetadata:
    """metadata_props read back."""

    labels: tuple[str, ...]
    frontend: FrontEndConfig
    normalization: Normalization
    values: dict[str, Any]
    """Everything, JSON decoded where it is JSON."""


def read_metadata(props: Mapping[str, str], source: str) -> FileMetadata:
    """Labels, front end and the rest from metadata_props.

    Raises:
        ExportError: If aum-edge did not write them, or they are damaged.
    """
    if VERSION not in props:
        raise ExportError(
            f"{source} carries no aum-edge metadata ({VERSION}, labels, frontend): "
            "export the model with `aum-edge export`."
        )
    try:
        values = {key: _decoded(text) for key, text in props.items()}
        return FileMetadata(
            labels=tuple(values["labels"]),
            frontend=FrontEndConfig(**values["frontend"]),
            normalization=Normalization(**values["normalization"]),
            values=values,
        )
    except (KeyError, TypeError, RecipeError) as error:
        raise ExportError(f"{source} has damaged metadata ({error}): export it again.") from error


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
