"""What is timed besides the models themselves: runtimes, threads, clips at once."""

from __future__ import annotations

from dataclasses import dataclass

from aum_edge.bench.runtimes import checked_runtimes
from aum_edge.errors import RecipeError


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
