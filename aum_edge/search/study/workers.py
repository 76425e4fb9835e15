"""Worker processes of a study and their heartbeats: which are alive and which are gone.

Optuna's heartbeat is for databases alone and works under ``Study.optimize``; a journal file has
none. These signs of life go through any storage, and no clock is compared with another one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

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
    pid_space: int = 0
    """Inode of its process id namespace: containers of one machine count ids of their own."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def this_worker() -> Worker:
    """This process."""
    started = round(psutil.Process().create_time(), 1)
    return Worker(platform.node(), round(psutil.boot_time()), os.getpid(), started, _pid_space())


def is_dead(values: dict[str, Any]) -> bool:
    """Whether a worker of this machine and container is gone; False for any other."""
    if values.get("host") != platform.node() or values.get("pid_space", 0) != _pid_space():
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


class HeartbeatMonitor:
    """Finds trials without a heartbeat, without comparing clocks of two machines."""

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
    """Calls a function periodically while a block runs; failures of it are ignored."""

    def __init__(self, beat: Callable[[], None], seconds: float = BEAT_SECONDS) -> None:
        self._beat = beat
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
                self._beat()


def _pid_space() -> int:
    """0 where the system has no such namespaces."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0
