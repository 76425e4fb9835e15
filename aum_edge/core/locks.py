"""File locks between processes, containers and machines: a run folder, a cache, a draft.

The operating system decides who holds a lock (flock, through the filelock library). It gives the
lock of a killed process free at once. Process ids decide nothing: another container or machine
counts them anew. They stand in the lock file for messages alone.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)
NO_FLOCK = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""Error numbers of a file system without locks."""
POLL_SECONDS = 0.05
NO_LOCKS = (
    "The file system of %s has no locks (flock). Marker files stand in for them: if a process of "
    "another machine is killed there, remove its `*.lock` file by hand."
)
_FLOCK: dict[int, bool] = {}
"""Whether a file system has locks, by its device number."""


@contextlib.contextmanager
def hold_lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file ``path`` through a block, which gets whether it was acquired.

    The file is there while the lock is held. One that a killed process left is taken at once. A
    file system without flock gets filelock's marker file instead, which a killed process of this
    machine loses too; that of another machine must be removed by hand, as the log says.

    Args:
        path: The lock file. Its folder is made.
        wait: Whether to wait for the holder; without it the block may get False.

    Raises:
        OSError: If the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquire(path, wait=False)
    if lock is None and wait:
        log.info("waiting for %s, which holds %s", holder_of(path), path)
        lock = _acquire(path, wait=True)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        # Before the release: whoever waits sees that the file has no name and makes a new one.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()


def holder_of(path: Path) -> str:
    """Who holds a lock file, for a message: ``process 12 on HOST``, or ``another process``."""
    try:
        pid, host = path.read_text(encoding="utf-8").splitlines()[:2]
    except (OSError, ValueError):
        return "another process"
    return f"process {pid} on {host}" if pid.isdigit() else "another process"


def _acquire(path: Path, wait: bool) -> BaseFileLock | None:
    """The lock, held; None if another process has it and ``wait`` is false."""
    kind = FileLock if _has_flock(path.parent) else SoftFileLock
    while True:
        named: list[bool] = []
        # Threads may share what a lock guards, such as a cache that one opens and another closes.
        options: dict[str, Any] = {"thread_local": False}
        if kind is FileLock:
            options |= {"on_acquired": lambda h, seen=named: seen.append(_name_holder(h, path))}
        lock: BaseFileLock = kind(path, **options)
        try:
            lock.acquire(blocking=wait, poll_interval=POLL_SECONDS)
        except Timeout:
            return None
        if all(named):
            return lock
        # The holder before this one has taken the file away meanwhile.
        lock.release()


def _has_flock(folder: Path) -> bool:
    """Whether the folder's file system has locks; tried once for each, in a file without a name."""
    if sys.platform == "win32":
        return True
    device = folder.stat().st_dev
    if device not in _FLOCK:
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
            _FLOCK[device] = True
        except OSError as error:
            if error.errno not in NO_FLOCK:
                raise
            _FLOCK[device] = False
            log.warning(NO_LOCKS, folder)
    return _FLOCK[device]


def _name_holder(handle: int, path: Path) -> bool:
    """Write down who holds the open lock file; False if it is not the one at ``path`` any more."""
    try:
        if not os.path.samestat(os.fstat(handle), path.stat()):
            return False
    except FileNotFoundError:
        return False
    # On a full disk the lock holds all the same, without a name.
    with contextlib.suppress(OSError):
        text = f"{os.getpid()}\n{platform.node()}\n".encode()
        # In this order: ext4 flushes a file that was emptied and then written, 5 ms at closing.
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text)
        os.ftruncate(handle, len(text))
    return True
