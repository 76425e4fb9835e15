"""Work that one of several processes does while the others wait or go on: a lock file each."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from aum_edge.core.files import read_json
from aum_edge.search.study.workers import GRACE_SECONDS, Beat, surely_dead, this_worker


@contextlib.contextmanager
def turn(lock: Path, wait: bool = True, poll: float = 1.0) -> Iterator[bool]:
    """Hold a lock file through a block; whether it was got is what the block is told.

    The lock of a process that is gone is taken over: at once on the same machine, elsewhere when
    nobody has touched the file for a while. Without ``wait`` the answer may be False.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    seen: tuple[float, float] = (0.0, time.monotonic())
    while not (held := _take(lock)):
        seen = _watched(lock, seen)
        gone = surely_dead(read_json(lock)) if read_json(lock) else False
        if gone or time.monotonic() - seen[1] > GRACE_SECONDS:
            lock.unlink(missing_ok=True)
            continue
        if not wait:
            break
        time.sleep(poll)
    if not held:
        yield False
        return
    try:
        with Beat(lock.touch):
            yield True
    finally:
        lock.unlink(missing_ok=True)


def _take(lock: Path) -> bool:
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(this_worker().to_dict()))
    return True


def _watched(lock: Path, seen: tuple[float, float]) -> tuple[float, float]:
    """The file's time of change and when this process first saw it."""
    try:
        changed = lock.stat().st_mtime
    except OSError:
        return 0.0, time.monotonic()
    return seen if changed == seen[0] else (changed, time.monotonic())
