"""The model directory: config.json, model.safetensors, README.md. Nothing is unpickled."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.errors import CheckpointError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.quantized import refresh, replace_layer
from aum_edge.models.registry import ARCHITECTURES, architecture_of, build
from aum_edge.models.storage.card import short_card
from aum_edge.models.storage.labels import label_maps, read_labels
from aum_edge.models.storage.run_directory import model_directory

FORMAT_VERSION = 2
"""2: `pooling` of an AuM names the class token too (`class`); 1 pooled it whatever it said."""
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
COUNTERS = "num_batches_tracked"
"""Batch norm's step counters: training state that inference does not need."""
SHOWN = 3


def save(model: AudioClassifier, folder: str | Path, card: str | None = None) -> None:
    """Write a model directory in one step; a model already there is replaced only at the end.

    Other files beside the old model are kept. ``card`` is the README.md; without it a short one
    is written.

    Raises:
        CheckpointError: If the folder holds something else than a model, or cannot be written.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not _replaceable(folder):
        raise CheckpointError(
            f"{folder} exists and is no model directory: give a new or an empty folder."
        )
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        save_file(stored_tensors(model), draft / WEIGHTS)
        text = json.dumps(describe(model), indent=1, allow_nan=False)
        (draft / CONFIG).write_text(text + "\n", encoding="utf-8")
        (draft / CARD).write_text(card or short_card(model, payload_bytes(model)), encoding="utf-8")
        _swap(draft, folder)
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise CheckpointError(f"Cannot save a model as {folder}: {_one_line(error)}.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(folder: str | Path) -> AudioClassifier:
    """Read a model directory, ready to classify: in eval mode, on the CPU, in float32.

    Of a run directory it is the final model. The global random state is left as it was.

    Raises:
        CheckpointError: If the folder or a file is missing, truncated, of another architecture
            or format, or a tensor is missing, unexpected or of another shape or type.
    """
    folder = model_directory(folder)
    config = _read_config(folder)
    try:
        with torch.random.fork_rng(devices=[]):
            model = _rebuild(config)
    except KeyError as error:
        raise CheckpointError(f"{folder / CONFIG} lacks the entry {error}.") from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder / CONFIG} does not describe a model: {_one_line(error)}."
        ) from error
    _fill(model.backbone, folder / WEIGHTS)
    refresh(model)
    return model.eval()


def as_model(model: AudioClassifier | str | Path) -> AudioClassifier:
    """The model itself, or the one that a path names."""
    return load(model) if isinstance(model, str | Path) else model


def describe(model: AudioClassifier) -> dict[str, Any]:
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


def stored_tensors(model: AudioClassifier) -> dict[str, Tensor]:
    """Every tensor that inference needs, on the CPU and in the type it is stored in."""
    half = set((model.quantization or {}).get("float16", ()))
    tensors = {}
    for name, tensor in model.backbone.state_dict().items():
        if not name.endswith(COUNTERS):
            kept = tensor.detach().cpu().half() if name in half else tensor.detach().cpu()
            tensors[name] = kept.clone(memory_format=torch.contiguous_format)
    return tensors


def payload_bytes(model: AudioClassifier) -> tuple[int, int]:
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
        return "format_version" in config and "architecture" in config
    except (OSError, ValueError, TypeError):
        return False


def _swap(draft: Path, folder: Path) -> None:
    """Put the draft in the folder's place; if that fails, the folder is as it was."""
    if not folder.exists():
        draft.replace(folder)
        return
    for other in folder.iterdir():
        if other.name not in (CONFIG, WEIGHTS, CARD):
            copy = shutil.copytree if other.is_dir() else shutil.copy2
            copy(other, draft / other.name)
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    folder.replace(old)
    try:
        draft.replace(folder)
    except OSError:
        old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is no model directory: it has no {CONFIG}. Give a folder that "
            "aum-edge wrote, such as RUN/quantize/model."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = config["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or not ours: {_one_line(error)}.") from error
    if version not in (1, FORMAT_VERSION):
        raise CheckpointError(
            f"{path} has format version {version}, this aum-edge reads {FORMAT_VERSION}: "
            "use the aum-edge that wrote it, or a newer one."
        )
    if config.get("architecture") not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} names the architecture `{config.get('architecture')}`; "
            f"known are {', '.join(ARCHITECTURES)}."
        )
    try:
        config = {**config, "labels": read_labels(config)}
    except ValueError as error:
        raise CheckpointError(f"{path} does not describe a model: {error}.") from error
    return _upgrade(config) if version == 1 else config


def _upgrade(config: dict[str, Any]) -> dict[str, Any]:
    """A version 1 config in the words of version 2."""
    model = dict(config.get("model", {}))
    if config["architecture"] == "audio_mamba" and model.get("class_token", "middle") != "none":
        model["pooling"] = "class"
    return {**config, "model": model}


def _rebuild(config: dict[str, Any]) -> AudioClassifier:
    """The classifier that a config.json describes, its weights still random."""
    backbone = build(ARCHITECTURES[config["architecture"]](**_tuples(config["model"])))
    quantization = config["quantization"]
    rounded = set(quantization.get("inputs", ())) if quantization else set()
    for name in quantization["layers"] if quantization else ():
        replace_layer(backbone, name, name in rounded)
    return AudioClassifier(
        backbone,
        frontend=FrontEndConfig(**config["frontend"]),
        normalization=Normalization(**config["normalization"]),
        labels=tuple(config["labels"]),
        lineage=tuple(config["lineage"]),
        quantization=quantization,
        activation=config.get("activation", "softmax"),
    )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _fill(backbone: nn.Module, path: Path) -> None:
    """Load every tensor strictly: what is missing, unexpected or different is named."""
    if not path.is_file():
        raise CheckpointError(f"There are no weights: {path} is missing.")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is truncated or not safetensors: {_one_line(error)}."
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
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            shown = ", ".join(names[:SHOWN])
            raise CheckpointError(
                f"{path} {what} {shown}{more}: it does not belong to the {CONFIG} beside it."
            )
    with torch.no_grad():
        for name, target in wanted.items():
            target.copy_(tensors[name])


def _form(tensor: Tensor) -> str:
    """Kind and shape. Any float type may stand for another, never for integers."""
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {list(tensor.shape)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
