"""Work that one of several processes does while the others wait or go on: a lock file each."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from aum_edge.core.files import read_json

BEAT_SECONDS = 20.0
"""Between two signs of life of a running trial."""
GRACE_SECONDS = 120.0
"""A trial without a sign of life for so long, by the watcher's own clock, is given up."""


@dataclass(frozen=True)
class Worker:
    """A process: its machine, its number and when it started, as numbers are used again."""

    host: str
    booted: float
    """Machines may have one name; few have started in the same second as well."""
    pid: int
    started: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def this_worker() -> Worker:
    """The process that asks."""
    started = round(psutil.Process().create_time(), 1)
    return Worker(platform.node(), round(psutil.boot_time()), os.getpid(), started)


def is_dead(values: dict[str, Any]) -> bool:
    """Whether a worker of this machine does not run any more; False for other machines."""
    if values.get("host") != platform.node():
        return False
    try:
        if abs(float(values["booted"]) - psutil.boot_time()) > 2:
            return False
        process = psutil.Process(int(values["pid"]))
        same = abs(process.create_time() - float(values["started"])) < 2
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, KeyError, ValueError, TypeError):
        return True
    except psutil.AccessDenied:
        return False


class Watch:
    """Tells which trials show no sign of life, without comparing clocks of two machines."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._seen: dict[int, tuple[Any, float]] = {}

    def stale(self, number: int, beat: Any, now: float | None = None) -> bool:
        """Whether the trial's last sign is the one seen at least the grace period ago."""
        now = time.monotonic() if now is None else now
        last, since = self._seen.get(number, (None, now))
        if number not in self._seen or last != beat:
            self._seen[number] = (beat, now)
            return False
        return now - since >= self._grace


class Heartbeat:
    """Calls a function now and then while a block runs; its failures are the block's to notice."""

    def __init__(self, tell: Callable[[], None], seconds: float = BEAT_SECONDS) -> None:
        self._tell = tell
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            with contextlib.suppress(Exception):
                self._tell()


@contextlib.contextmanager
def hold_lock(lock: Path, wait: bool = True, poll: float = 1.0) -> Iterator[bool]:
    """Hold a lock file through a block; whether it was got is what the block is told.

    The lock of a process that is gone is taken over: at once on the same machine, elsewhere when
    nobody has touched the file for a while. Without ``wait`` the answer may be False.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    seen: tuple[float, float] = (0.0, time.monotonic())
    while not (held := _take(lock)):
        seen = _watched(lock, seen)
        gone = is_dead(read_json(lock)) if read_json(lock) else False
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
        with Heartbeat(lock.touch):
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
