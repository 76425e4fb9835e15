"""Small files in one step, and a full disk as one clear line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from aum_edge.errors import DataError


@contextlib.contextmanager
def disk_errors(folder: Path, what: str) -> Iterator[None]:
    """Turn the system's refusals to write in ``folder`` into a DataError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"The disk is full while writing {what} in {folder}: free some space or give "
                "another cache folder. Nothing half-written is left."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise DataError(
                f"Cannot write {what} in {folder} ({error.strerror}): give a folder that can be "
                "written to."
            ) from error
        raise


def require_space(folder: Path, size: int, what: str) -> None:
    """Refuse work that cannot end well, before it starts.

    Raises:
        DataError: If the disk of ``folder`` has fewer than ``size`` bytes free.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size:
        raise DataError(
            f"{what.capitalize()} needs {size / 1e6:.0f} MB in {folder}, which has "
            f"{free / 1e6:.0f} MB free: free some space or give another cache folder."
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, or an empty one when it is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON so that a kill leaves the old file or the new one."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that a kill leaves the old file or the new one."""
    with disk_errors(path.parent, path.name):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            draft.write_text(text, encoding="utf-8", newline="")
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def new_folder(final: Path, what: str, resume: bool = False) -> Iterator[Path]:
    """A draft folder that becomes ``final`` when the block ends well and is removed otherwise.

    Drafts of processes that were killed are removed first. When another process has made
    ``final`` meanwhile, its folder stays and the draft goes. With ``resume`` the draft of a killed
    process is taken over with what it holds, and one that the user stops is left for the next.
    """
    with disk_errors(final.parent, what):
        final.parent.mkdir(parents=True, exist_ok=True)
        draft = final.with_name(f"{final.name}.{os.getpid()}.draft")
        if resume:
            _adopt(final, draft)
        else:
            shutil.rmtree(draft, ignore_errors=True)
        _remove_abandoned(final)
        left = False
        try:
            draft.mkdir(exist_ok=True)
            try:
                yield draft
            except Exception:
                raise
            except BaseException:
                left = resume
                raise
            try:
                draft.replace(final)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        finally:
            if not left:
                shutil.rmtree(draft, ignore_errors=True)


def _adopt(final: Path, draft: Path) -> None:
    """Give this process the draft of one that was killed; renaming is the claim."""
    for other in _abandoned(final):
        if draft.exists():
            return
        with contextlib.suppress(OSError):
            other.replace(draft)


def _remove_abandoned(final: Path) -> None:
    for draft in _abandoned(final):
        shutil.rmtree(draft, ignore_errors=True)


def _abandoned(final: Path) -> list[Path]:
    drafts = sorted(final.parent.glob(f"{final.name}.*.draft"))
    pids = [draft.name.split(".")[-2] for draft in drafts]
    return [
        draft
        for draft, pid in zip(drafts, pids, strict=True)
        if pid.isdigit() and not psutil.pid_exists(int(pid))
    ]
