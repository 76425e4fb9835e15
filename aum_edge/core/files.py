"""Files and folders written in one step, and a full disk as one clear line.

What is being written stands beside its place as ``.NAME.draft`` and is renamed at the end. Its
writer holds the lock ``.NAME.lock`` meanwhile, so a draft that another writer finds is of a killed
process: it is written over, or gone on with where that pays.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from aum_edge.core.locks import hold_lock
from aum_edge.errors import DataError, DiskError

Content = str | bytes | memoryview | Callable[[BinaryIO], object]
"""UTF-8 text without change of line ends, bytes, or a function that writes into an open file."""
DRAFT, LOCK = ".draft", ".lock"
REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
)
"""Error numbers of a folder or a name that cannot be written to."""


def write_atomically(path: Path, content: Content) -> None:
    """Write a file so that a kill leaves the old one or the new one, never half of it.

    The content reaches the disk before the name does, so a loss of power harms it no more. Cost
    beside the writing: about a millisecond, and what the disk takes to be sure of it.

    Raises:
        DiskError: If the disk is full or the folder cannot be written to; nothing is left behind.
    """
    with disk_errors(path.parent, path.name), new_file(path) as draft:
        _fill(draft, content)


def write_together(contents: Mapping[Path, Content]) -> None:
    """Write several files, all of which are made before the first gets its name.

    Raises:
        OSError: If one cannot be written, which leaves all as they were.
    """
    with contextlib.ExitStack() as stack:
        drafts = {path: stack.enter_context(new_file(path, sync=False)) for path in contents}
        for path, draft in drafts.items():
            _fill(draft, contents[path])
            _sync(draft)
        taken = next((path for path in contents if path.is_dir()), None)
        if taken is not None:
            raise IsADirectoryError(errno.EISDIR, "there is a folder of that name", str(taken))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as :func:`write_atomically` does."""
    write_atomically(path, text)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object as :func:`write_atomically` does."""
    write_atomically(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file, or an empty one when it is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def new_file(path: Path, sync: bool = True) -> Iterator[Path]:
    """A draft's path; what the block writes there becomes ``path``, unless the block fails.

    For what must be looked at before it gets its name; :func:`write_atomically` is the usual way.
    Without ``sync`` a loss of power may leave the file empty: for many files that are easily made
    again, as each costs the disk some ms.

    Raises:
        OSError: If the folder cannot be written to.
    """
    with _draft_of(path) as draft:
        _remove(draft)
        try:
            yield draft
            if sync:
                _sync(draft)
            draft.replace(path)
        finally:
            _remove(draft)


@contextlib.contextmanager
def new_folder(final: Path, what: str, resume: bool = False, wait: bool = True) -> Iterator[Path]:
    """A draft folder that becomes ``final`` when the block ends well and is removed otherwise.

    Another process that makes the same folder waits until this one is done, or is refused without
    ``wait``. A folder that has come to ``final`` by then stays, and the draft goes. With ``resume``
    the draft of a killed process is gone on with, and one that the user stops is left for the next.

    Raises:
        DiskError: If the disk is full or the folder cannot be written to.
        BlockingIOError: If another process makes the folder and ``wait`` is false.
    """
    with disk_errors(final.parent, what), _draft_of(final, wait) as draft:
        if not resume:
            _remove(draft)
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
                _remove(draft)


@contextlib.contextmanager
def replaced_folder(final: Path, own: Collection[str]) -> Iterator[Path]:
    """A draft folder that takes the place of ``final``, unless the block fails.

    Other files than ``own`` that stand in ``final`` are kept. What a kill between the two renames
    left is put back by the next writer.

    Raises:
        OSError: If the folder cannot be written to; ``final`` is as it was.
    """
    old = final.with_name(f".{final.name}.old{DRAFT}")
    with _draft_of(final) as draft:
        if old.exists() and not final.exists():
            old.replace(final)
        _remove(draft)
        _remove(old)
        try:
            draft.mkdir()
            yield draft
            _take_place(draft, final, old, own)
        finally:
            _remove(draft)


def is_draft(name: str) -> bool:
    """Whether a file of this name is a draft or a lock of this module, and nobody's work."""
    return name.startswith(".") and name.endswith((DRAFT, LOCK))


def holds_files(folder: Path, besides: Collection[str] = ()) -> bool:
    """Whether a folder is there and holds anything but drafts, their locks and some names."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return any(not is_draft(name) and name not in besides for name in names)


@contextlib.contextmanager
def disk_errors(folder: Path, what: str) -> Iterator[None]:
    """Turn the system's refusals to write in ``folder`` into a DiskError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(
                f"The disk is full while writing {what} in {folder}: free some space or give "
                "another folder. Nothing half-written is left."
            ) from error
        if error.errno in REFUSALS:
            raise DiskError(
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


@contextlib.contextmanager
def _draft_of(final: Path, wait: bool = True) -> Iterator[Path]:
    """The draft's path of a file or folder, which is this process's alone within the block."""
    with hold_lock(final.with_name(f".{final.name}{LOCK}"), wait) as held:
        if not held:
            raise BlockingIOError(errno.EAGAIN, "another process is writing it", str(final))
        yield final.with_name(f".{final.name}{DRAFT}")


def _take_place(draft: Path, final: Path, old: Path, own: Collection[str]) -> None:
    """Put the draft in the folder's place; if that fails, the folder is as it was."""
    if not final.exists():
        draft.replace(final)
        return
    for other in final.iterdir():
        if other.name not in own:
            copy = shutil.copytree if other.is_dir() else shutil.copy2
            copy(other, draft / other.name)
    final.replace(old)
    try:
        draft.replace(final)
    except OSError:
        old.replace(final)
        raise
    _remove(old)


def _fill(draft: Path, content: Content) -> None:
    with draft.open("wb") as file:
        if callable(content):
            content(file)
        else:
            file.write(content.encode() if isinstance(content, str) else content)


def _sync(path: Path) -> None:
    """Bring a file's content to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there and can be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
