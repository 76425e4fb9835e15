"""Progress on stderr: one bar that moves on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Progress = Callable[[int, int, str], None]
QUIET_SECONDS = 5.0
REST_OF_LINE = "\x1b[K"
"""Clears what a longer text left behind."""


def stderr_progress() -> Progress:
    """A function ``(done, total, what)`` for long work."""
    terminal = sys.stderr.isatty()
    last_line = time.monotonic()
    open_work = ""

    def show(done: int, total: int, what: str) -> None:
        nonlocal last_line, open_work
        now = time.monotonic()
        finished = done >= total
        if terminal:
            width = 30
            filled = width * done // max(1, total)
            bar = "#" * filled + "." * (width - filled)
            end = "\n" if finished else ""
            print(
                f"\r[{bar}] {done}/{total} {what}{REST_OF_LINE}",
                end=end,
                file=sys.stderr,
                flush=True,
            )
        elif now - last_line > QUIET_SECONDS or (finished and open_work == what):
            print(f"{done}/{total} {what}", file=sys.stderr, flush=True)
            last_line, open_work = now, "" if finished else what

    return show
