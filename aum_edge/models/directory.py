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
from aum_edge.models.build import ARCHITECTURES, architecture_of, build
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.quantized import replace_layer

FORMAT_VERSION = 1
COUNTERS = "num_batches_tracked"
"""Batch norm's step counters: training state that inference does not need."""


def save(model: AudioClassifier, folder: str | Path, card: str | None = None) -> None:
    """Write a model directory in one step; an older one there is replaced only at the end.

    ``card`` is the README.md; without it a short one is written.
    """
    folder = Path(folder)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        save_file(stored_tensors(model), draft / "model.safetensors")
        (draft / "config.json").write_text(json.dumps(describe(model), indent=1) + "\n")
        (draft / "README.md").write_text(card or _short_card(model), encoding="utf-8")
        old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(draft, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(folder: str | Path) -> AudioClassifier:
    """Read a model directory, ready to classify.

    Raises:
        CheckpointError: The folder or a file is missing, truncated, of another architecture or
            format, or a tensor is missing, unexpected or of another shape.
    """
    folder = Path(folder)
    config = _read_config(folder)
    try:
        kind = ARCHITECTURES[config["architecture"]]
        backbone = build(kind(**_tuples(config["model"])))
        quantization = config["quantization"]
        for name in quantization["layers"] if quantization else ():
            replace_layer(backbone, name)
        model = AudioClassifier(
            backbone,
            frontend=FrontEndConfig(**config["frontend"]),
            normalization=Normalization(**config["normalization"]),
            labels=tuple(config["labels"]),
            lineage=tuple(config["lineage"]),
            quantization=quantization,
        )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{folder}/config.json does not describe a model: {error}.") from error
    _fill(backbone, folder / "model.safetensors")
    return model.eval()


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
        "id2label": {str(index): label for index, label in enumerate(model.labels)},
        "lineage": list(model.lineage),
        "quantization": model.quantization,
    }


def stored_tensors(model: AudioClassifier) -> dict[str, Tensor]:
    """Every tensor that inference needs, in the type it is stored in."""
    half = set((model.quantization or {}).get("float16", ()))
    tensors = {}
    for name, tensor in model.backbone.state_dict().items():
        if not name.endswith(COUNTERS):
            kept = tensor.detach().cpu().contiguous()
            tensors[name] = kept.half() if name in half else kept.clone()
    return tensors


def payload_bytes(model: AudioClassifier) -> tuple[int, int]:
    """Stored bytes of parameters and of buffers; together the payload of model.safetensors."""
    parameters = {name for name, _ in model.backbone.named_parameters()}
    sizes = {name: t.numel() * t.element_size() for name, t in stored_tensors(model).items()}
    own = sum(size for name, size in sizes.items() if name in parameters)
    return own, sum(sizes.values()) - own


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is no model directory: it has no config.json. Give a folder that "
            "aum-edge wrote, such as RUN/quantize/model."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = config["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or not ours: {error}.") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {version}, this aum-edge reads {FORMAT_VERSION}: "
            "use the aum-edge that wrote it, or a newer one."
        )
    if config.get("architecture") not in ARCHITECTURES:
        raise CheckpointError(
            f"{path} names the architecture `{config.get('architecture')}`; "
            f"known are {', '.join(ARCHITECTURES)}."
        )
    return dict(config)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _fill(backbone: nn.Module, path: Path) -> None:
    """Load every tensor strictly: what is missing, unexpected or misshapen is named."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is missing, truncated or not safetensors: {error}.") from error
    wanted = {k: v for k, v in backbone.state_dict().items() if not k.endswith(COUNTERS)}
    missing = sorted(wanted.keys() - tensors.keys())
    foreign = sorted(tensors.keys() - wanted.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    for what, names in (("lacks", missing), ("has unexpected", foreign), ("has", shapes)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"{path} {what} {', '.join(names[:3])}{more}: another model's?")
    with torch.no_grad():
        for name, target in wanted.items():
            target.copy_(tensors[name])


def _short_card(model: AudioClassifier) -> str:
    steps = ", then ".join(str(step.get("step", "made")) for step in model.lineage) or "built"
    weights = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"# {architecture_of(model.backbone.config)}\n\n"
        f"An audio classifier of {len(model.labels)} classes with {weights:,} parameters, made by "
        f"aum-edge ({steps}).\n\nLabels: {', '.join(model.labels)}.\n\n"
        f'Use: `aum-edge predict DIR AUDIO` or `aum_edge.load("DIR")`.\n'
    )
