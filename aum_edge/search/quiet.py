"""Trainings, quantizations and exports without lines of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = ("aum_edge.training", "aum_edge.compression", "aum_edge.data", "aum_edge.export")


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing below an error for a block: a search has one line for each trial."""
    loggers = [logging.getLogger(name) for name in QUIET]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
