"""Model directories by the names of the Hugging Face Hub: a local folder or OWNER/NAME.

Only config.json, model.safetensors and README.md are fetched; pickled weights never are.
huggingface_hub is optional and needed for hub names alone. It does the caching and reads its own
environment, HF_HUB_OFFLINE, HF_HOME and HF_TOKEN among others.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from aum_edge.core.text import one_line
from aum_edge.errors import CheckpointError
from aum_edge.models.storage.directory import CARD, CONFIG, WEIGHTS

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def model_folder(
    name_or_dir: str | Path,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The model directory of a local folder, or of a hub repository where there is no such folder.

    Args:
        name_or_dir: A model directory, or OWNER/NAME on the hub.
        revision: Branch, tag or commit on the hub; a local folder has none.
        cache_dir: Where hub files are kept instead of the hub's own cache.
        local_files_only: Take hub files from the cache and ask no server.

    Raises:
        CheckpointError: If there is no such folder and no such hub name, or the files cannot be
            fetched.
    """
    folder = Path(name_or_dir).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise CheckpointError(
                f"{folder} is a local folder and has no revision `{revision}`: leave it out."
            )
        return folder
    name = str(name_or_dir)
    if not HUB_NAME.fullmatch(name):
        raise CheckpointError(
            f"There is no folder {name}, and it is no hub name either: give a model directory or "
            "OWNER/NAME."
        )
    return _fetch(name, revision, cache_dir, local_files_only)


def _fetch(
    name: str, revision: str | None, cache_dir: str | Path | None, local_files_only: bool
) -> Path:
    """The folder of a repository's three files."""
    try:
        hub = import_module("huggingface_hub")
    except ImportError as error:
        raise CheckpointError(
            f"There is no folder {name}; to fetch it from a hub, install huggingface_hub "
            f"(pip install huggingface_hub)."
        ) from error
    try:
        folder = Path(
            hub.snapshot_download(
                repo_id=name,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=local_files_only,
                allow_patterns=[CONFIG, WEIGHTS, CARD],
            )
        )
    except Exception as error:  # a hub fails in many ways: network, names, rights, disk
        why = one_line(error, 200)
        raise CheckpointError(
            f"Cannot fetch {name}{f' at {revision}' if revision else ''}: "
            f"{type(error).__name__}: {why}."
        ) from error
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{name} has no {file}, so it is no model of aum-edge (pickled weights are never "
                "fetched): download a published checkpoint yourself and use `aum-edge convert`."
            )
    return folder
