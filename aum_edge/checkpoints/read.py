"""Foreign checkpoint files to tensors, without running anything that is in them."""

from __future__ import annotations

import argparse
import pickle
import pickletools
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from aum_edge.core.text import few, one_line
from aum_edge.errors import CheckpointError

MODULES = ("torch", "collections", "numpy", "argparse", "_codecs")
"""Where the globals of ordinary checkpoints come from."""
HARMLESS: list[Any] = [argparse.Namespace]
"""Plain containers that training scripts put beside the weights."""
WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Where Lightning, Vim and others keep the weights inside their checkpoints."""


def foreign_global(path: Path) -> str | None:
    """The first function or class a checkpoint would import from elsewhere, or None.

    Reads bare pickles of every protocol and those in torch's zip files. A pickle that breaks off
    is read as far as it goes.
    """
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(_pickle(path)):
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
            elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:
                module, name = strings[-2:]
            else:
                if isinstance(argument, str):
                    strings.append(argument)
                continue
            if module.split(".")[0] not in MODULES:
                return f"{module}.{name}"
    except (ValueError, OSError, KeyError, zipfile.BadZipFile):
        return None
    return None


def _pickle(path: Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return archive.read(names[0]) if names else b""


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by their names in the file, and what lay beside them."""

    tensors: dict[str, Tensor]
    beside: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: Path, wrapper: str | None = None) -> Checkpoint:
    """Read a .pth, .pt, .bin, .ckpt or .safetensors file, whatever its suffix.

    Args:
        path: The file.
        wrapper: The key that holds the weights; ``None`` finds the usual ones.

    Raises:
        CheckpointError: If the file is missing, truncated, holds code or Python objects, or holds
            no weights.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: give a file such as model.pth.")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty: download or copy it again.")
    content = _content(path)
    tensors, beside = unwrap(content, str(path), wrapper)
    odd = [name for name, t in tensors.items() if not _plain(t)]
    if odd:
        raise CheckpointError(
            f"{path} holds {few(odd)} as complex, sparse or nested numbers, no network of these "
            "projects does."
        )
    bad = [name for name, t in tensors.items() if t.is_floating_point() and not _finite(t)]
    if bad:
        raise CheckpointError(f"{path} holds NaN or Inf in {few(bad)}: its training diverged.")
    return Checkpoint(tensors, beside)


def unwrap(
    content: Any, source: str, wrapper: str | None = None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights by name and what lay beside them, from a flat or a wrapped checkpoint.

    Raises:
        CheckpointError: If there are no weights where they are looked for.
    """
    if not isinstance(content, dict):
        raise CheckpointError(f"{source} holds a {type(content).__name__}, not named weights.")
    key = wrapper or next((name for name in WRAPPERS if isinstance(content.get(name), dict)), None)
    inner = content if key is None else content.get(key)
    if not isinstance(inner, dict):
        raise CheckpointError(
            f"{source} has no weights under `{key}`; it holds {few(map(str, content))}."
        )
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    others = [str(name) for name in inner if str(name) not in tensors]
    if not tensors or others:
        raise CheckpointError(
            f"{source} is no state dict: {few(others) or 'it is empty'} "
            f"{'are no tensors' if others else ''}".rstrip()
            + "."
        )
    beside = {} if key is None else {k: v for k, v in content.items() if k != key}
    return tensors, beside


def _content(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(9)
    # safetensors begins with the length of its JSON header, eight bytes, and a brace.
    if start[8:9] == b"{" and not zipfile.is_zipfile(path):
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is truncated or damaged: {one_line(error)}.") from error
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(path, error)) from error
    except Exception as error:  # a damaged pickle raises anything
        raise CheckpointError(
            f"{path} is truncated or not a PyTorch checkpoint: {one_line(error)[:160]}."
        ) from error


def _refusal(path: Path, error: pickle.UnpicklingError) -> str:
    """Why a pickle was not read: what it would have run, or that it is none."""
    text = one_line(error)
    named = re.search(r"[Uu]nsupported (?:global: )?GLOBAL (\S+)", text)
    code = named[1] if named else foreign_global(path)
    if code:
        return (
            f"{path} was not opened: beside weights it holds `{code}`, which would run code. "
            "Save only model.state_dict() where it was trained, and convert that."
        )
    reason = text.split("WeightsUnpickler error: ")[-1]
    for advice in (". ", "Re-running", "Check the documentation"):
        reason = reason.split(advice)[0]
    return f"{path} is truncated or not a PyTorch checkpoint: {reason.strip()[:160]}."


def _plain(tensor: Tensor) -> bool:
    """Whether this is an ordinary tensor with numbers of its own."""
    ordinary = tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_meta
    return ordinary and not tensor.is_complex()


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor.float()).all())
