"""Training checkpoints that are whole or not there at all."""

from __future__ import annotations

import io
import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from aum_edge.core.files import new_file

log = logging.getLogger(__name__)
DAMAGE = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and takes its place at the end.

    Lightning's own way goes through the system's temporary folder and copies from there, which a
    kill or a full disk can stop half-way.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save in one step; a full disk leaves the old checkpoint and raises ``OSError``."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with new_file(Path(path)) as draft:
            draft.write_bytes(content.getbuffer())


def resumable(path: Path) -> Path | None:
    """The checkpoint if it can be resumed from; a damaged one is named, and training starts anew.

    It is our own file in the run's folder, so it is read with pickle, as Lightning does.
    """
    if not path.exists():
        return None
    try:
        torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
    except DAMAGE as error:
        log.warning("%s is damaged (%s): training starts from its first epoch.", path, error)
        return None
    return path
