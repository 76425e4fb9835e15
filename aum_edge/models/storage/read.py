"""Reading a model directory into the parts of a classifier.

Nothing is unpickled. A damaged or foreign directory is one line that names what is wrong; anything
else that goes wrong here is a fault of this package and is not caught.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.core.text import few, one_line
from aum_edge.errors import AumEdgeError, CheckpointError
from aum_edge.models.architectures.base import Backbone
from aum_edge.models.fields import check_values
from aum_edge.models.quantized import quantized_layer, replace_layer
from aum_edge.models.registry import architectures, build
from aum_edge.models.storage.directory import (
    CONFIG,
    COUNTERS,
    FORMAT_VERSION,
    WEIGHTS,
)
from aum_edge.models.storage.labels import read_labels
from aum_edge.models.storage.parts import ReadParts

Config = TypeVar("Config")


def read_parts(folder: Path) -> ReadParts:
    """Read a model directory; the network is on the CPU, in float32 and in training mode.

    The global random state is left as it was.

    Raises:
        CheckpointError: If the folder or a file is missing, truncated, of another architecture
            or format, or a tensor is missing, unexpected or of another shape or type.
    """
    path, config = folder / CONFIG, read_config(folder)
    architecture = architectures()[config["architecture"]]
    made = _config(architecture.config, config["model"], "model", path)
    frontend = _config(FrontEndConfig, config["frontend"], "frontend", path)
    normalization = _config(Normalization, config["normalization"], "normalization", path)
    with torch.random.fork_rng(devices=[]):
        backbone = build(made)
    _put_int8_layers(backbone, config["quantization"], path)
    _fill(backbone, folder / WEIGHTS)
    return ReadParts(
        backbone=backbone,
        frontend=frontend,
        normalization=normalization,
        labels=tuple(config["labels"]),
        lineage=tuple(config["lineage"]),
        quantization=config["quantization"],
        activation=config.get("activation", "softmax"),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """config.json in the words of this version, every entry there and of the right kind.

    Raises:
        CheckpointError: If it is missing, damaged, of another format or architecture.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is no model directory: it has no {CONFIG}. Give a folder that "
            "aum-edge wrote, such as RUN/quantize/model."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not ours: {one_line(error)}.") from error
    if not isinstance(config, dict) or "format_version" not in config:
        raise CheckpointError(f"{path} is damaged or not ours: it has no `format_version`.")
    version, name = config["format_version"], config.get("architecture")
    if version not in (1, FORMAT_VERSION):
        raise CheckpointError(
            f"{path} has format version {version}, this aum-edge reads {FORMAT_VERSION}: "
            "use the aum-edge that wrote it, or a newer one."
        )
    known = architectures()
    if not isinstance(name, str) or name not in known:
        raise CheckpointError(
            f"{path} names the architecture `{name}`; known are {', '.join(known)}."
        )
    return _checked(_upgraded(config) if version == 1 else config, path)


def _checked(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """The config with its labels read, or CheckpointError: all entries are there, as JSON has them.

    What the values mean is for the classes that they are given to.
    """
    for key in ("model", "frontend", "normalization", "lineage", "quantization"):
        if key not in config:
            raise CheckpointError(f"{path} lacks the entry '{key}'.")
    lineage, quantization = config["lineage"], config["quantization"]
    if not isinstance(lineage, list) or not all(isinstance(step, dict) for step in lineage):
        raise _wrong(path, f"`lineage` must be a list of steps, got {str(lineage)[:60]}")
    if quantization is not None:
        if not isinstance(quantization, dict) or "layers" not in quantization:
            raise _wrong(path, f"`quantization` must name `layers`, got {str(quantization)[:60]}")
        for key in ("layers", "inputs", "float16"):
            names = quantization.get(key, [])
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise _wrong(path, f"`quantization.{key}` must be a list of names, got {names!r}")
    try:
        return {**config, "labels": read_labels(config)}
    except ValueError as error:
        raise _wrong(path, one_line(error)) from error


def _upgraded(config: dict[str, Any]) -> dict[str, Any]:
    """A version 1 config in the words of version 2."""
    model = config.get("model")
    if isinstance(model, dict) and config["architecture"] == "audio_mamba":
        if model.get("class_token", "middle") != "none":
            model = {**model, "pooling": "class"}
    return {**config, "model": model} if "model" in config else config


def _config(kind: type[Config], values: Any, key: str, path: Path) -> Config:
    """A config dataclass of an entry of config.json.

    Raises:
        CheckpointError: If a field is unknown or missing, or its value is not allowed.
    """
    if not isinstance(values, dict):
        raise _wrong(path, f"`{key}` must hold names and values, got {str(values)[:60]}")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(values.keys() - known.keys())
    missing = [
        name
        for name, field in known.items()
        if name not in values and field.default is MISSING and field.default_factory is MISSING
    ]
    for what, names in (("has no field", unknown), ("needs the field", missing)):
        if names:
            raise _wrong(path, f"`{key}` {what} {', '.join(names)}")
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    try:
        check_values(kind, given)
        return kind(**given)
    except (AumEdgeError, ValueError, ArithmeticError) as error:
        # A config's own checks: it computes with its values and nothing else.
        raise _wrong(path, f"`{key}`: {one_line(error)}") from error


def _put_int8_layers(backbone: Backbone, quantization: dict[str, Any] | None, path: Path) -> None:
    """Int8 twins in the places of the layers that are stored so.

    Raises:
        CheckpointError: If a layer is not there or has no int8 form.
    """
    if quantization is None:
        return
    rounded, known = set(quantization.get("inputs", ())), dict(backbone.named_modules())
    for name in quantization["layers"]:
        if not name or name not in known or quantized_layer(known[name]) is None:
            raise _wrong(path, f"`quantization.layers` names {name!r}, which has no int8 form here")
        replace_layer(backbone, name, name in rounded)


def _wrong(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"{path} does not describe a model: {why}.")


def _fill(backbone: Backbone, path: Path) -> None:
    """Load every tensor strictly: what is missing, unexpected or different is named."""
    if not path.is_file():
        raise CheckpointError(f"There are no weights: {path} is missing.")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is truncated or not safetensors: {one_line(error)}."
        ) from error
    wanted = {k: v for k, v in backbone.state_dict().items() if not k.endswith(COUNTERS)}
    different = [
        f"{name} as {_form(tensors[name])} instead of {_form(tensor)}"
        for name, tensor in wanted.items()
        if name in tensors and _form(tensors[name]) != _form(tensor)
    ]
    missing = sorted(wanted.keys() - tensors.keys())
    foreign = sorted(tensors.keys() - wanted.keys())
    for what, names in (("lacks", missing), ("has unexpected", foreign), ("has", different)):
        if names:
            raise CheckpointError(
                f"{path} {what} {few(names)}: it does not belong to the {CONFIG} beside it."
            )
    with torch.no_grad():
        for name, target in wanted.items():
            target.copy_(tensors[name])


def _form(tensor: Tensor) -> str:
    """Kind and shape. Any float type may stand for another, never for integers."""
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {list(tensor.shape)}"
