"""Settings of a latency measurement."""

from __future__ import annotations

from dataclasses import dataclass

from aum_edge.errors import RecipeError
from aum_edge.runtimes.registry import checked_runtimes


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """One clip at a time; models take turns in blocks, so that a busy moment hits all of them."""

    threads: int = 1
    """Threads of the runtime."""
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


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """Every model in every runtime at every number of threads."""

    runtimes: tuple[str, ...] = ()
    """Nothing: onnxruntime for .onnx files, torch for directories."""
    threads: tuple[int, ...] = ()
    """Nothing: those of the settings. Each number has a round of its own."""
    batch: int = 1
    """Clips at once."""
    fresh: bool = False
    """Loading and memory in a process of its own for each model (a few seconds each)."""
    tolerant: bool = False
    """Go on without the models that fail, and name them."""

    def __post_init__(self) -> None:
        checked_runtimes(self.runtimes)
        if self.batch < 1:
            raise RecipeError(f"`batch` must be at least 1, got {self.batch}.")
        if any(count < 1 for count in self.threads) or len(set(self.threads)) < len(self.threads):
            given = ",".join(map(str, self.threads))
            raise RecipeError(f"`threads` takes numbers from 1 on, each once, got {given}.")
