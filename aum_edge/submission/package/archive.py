"""The zip files: the same bytes for the same contents."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from aum_edge.core.files import write_atomically
from aum_edge.submission.label import Label

_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED = ("__pycache__", ".egg-info", ".DS_Store")


def submission_zip(out: Path, label: Label) -> Path:
    """``<package>.zip``: ``task1/`` with a folder for each system and the technical report."""
    return _write(out / f"{label.package}.zip", out, [out / "task1"])


def inference_zip(out: Path, label: Label) -> Path:
    """``<package>_inference.zip``: what pip installs."""
    parts = [out / name for name in (label.package, "setup.py", "requirements.txt", "README.md")]
    return _write(out / f"{label.package}_inference.zip", out, parts)


def _write(path: Path, root: Path, parts: Iterable[Path]) -> Path:
    files = sorted(
        file
        for part in parts
        for file in ([part] if part.is_file() else part.rglob("*"))
        if file.is_file() and not any(mark in str(file.relative_to(root)) for mark in _SKIPPED)
    )
    write_atomically(path, partial(_fill, root, files))
    return path


def _fill(root: Path, files: Iterable[Path], sink: BinaryIO) -> None:
    """Pack files under their paths from ``root``, dated to one day."""
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.relative_to(root).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
