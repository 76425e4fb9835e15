"""Training checkpoints that are whole or not there at all."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from aum_edge.checkpoints.pickles import foreign_global
from aum_edge.errors import CheckpointError

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and takes its place at the end.

    Lightning's own way goes through the system's temporary folder and copies from there, which a
    kill or a full disk can stop half-way.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save in one step; a full disk leaves the old checkpoint and raises ``OSError``."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        draft = path.with_name(f".{path.name}.tmp")
        try:
            draft.write_bytes(content.getbuffer())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def resumable(path: Path) -> Path | None:
    """The checkpoint if it can be resumed from; of one that cannot, the log says why."""
    if not path.exists():
        return None
    try:
        _content(path, "state_dict")
    except CheckpointError as error:
        log.warning("%s: training starts from its first epoch.", error)
        return None
    return path


def read_checkpoint(path: Path, *keys: str) -> dict[str, Any]:
    """A checkpoint that has these entries, on the CPU; nothing in it is run.

    Raises:
        CheckpointError: If it is gone or damaged, or holds more than tensors and plain values.
    """
    try:
        return _content(path, *keys)
    except CheckpointError as error:
        raise CheckpointError(f"{error}: delete {path.parent} to train again.") from error


def _content(path: Path, *keys: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        for key in keys:
            content[key]
    except pickle.UnpicklingError as error:
        code = foreign_global(path)
        why = f"it holds `{code}`, which would run code" if code else "it is no plain checkpoint"
        raise CheckpointError(f"{path} is damaged and was not opened ({why})") from error
    except Exception as error:  # a damaged pickle raises anything
        text = " ".join(f"{type(error).__name__} {error}".split())[:160]
        raise CheckpointError(f"{path} is missing or damaged ({text})") from error
    return content
