"""How latency is measured."""

from __future__ import annotations

from dataclasses import dataclass

from aum_edge.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """One clip at a time; models take turns in blocks, so that a busy moment hits all of them."""

    threads: int = 1
    runs: int = 200
    """Timed runs of each model."""
    warmup: int = 20
    """Runs of each model before the timing starts."""
    block: int = 10
    """Runs of one model before the next one's turn."""
    seed: int = 0
    """Of the noise that is classified; no model's time depends on the values."""

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("runs", 1), ("warmup", 0), ("block", 1)):
            value = getattr(self, name)
            if value < least:
                raise RecipeError(f"`{name}` must be at least {least}, got {value}.")
