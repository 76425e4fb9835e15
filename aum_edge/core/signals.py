"""Ctrl-C and SIGTERM as one exception, for programs that are called from a shell."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aum_edge.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AT_ONCE = 1.0
"""Seconds: a terminal and a parent process may both pass on what is one request."""


class Stops:
    """A handler of signals: the first request raises :class:`Stopped`, a later one kills."""

    def __init__(self) -> None:
        self.asked: Stopped | None = None
        self._since = 0.0

    def __call__(self, number: int, frame: object = None) -> None:
        """End what runs now, wherever it is."""
        if self.asked is None:
            self.asked, self._since = Stopped(number), time.monotonic()
            raise self.asked
        if time.monotonic() - self._since > AT_ONCE:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


@contextmanager
def stoppable() -> Iterator[Stops]:
    """Handle both signals inside the block; those that the parent made us ignore stay ignored."""
    stops = Stops()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if threading.current_thread() is not threading.main_thread():
        before = {}
    ours = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in ours:
        signal.signal(number, stops)
    try:
        yield stops
    finally:
        for number, old in ours.items():
            signal.signal(number, old)
