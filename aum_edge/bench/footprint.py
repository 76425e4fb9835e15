"""Load time and memory of a model, in this process or in a fresh one.

``python -m aum_edge.bench.footprint PATH RUNTIME THREADS BATCH`` prints one JSON line.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

import aum_edge
from aum_edge.errors import BenchError
from aum_edge.runtimes.registry import runtimes
from aum_edge.runtimes.runtime import Opened

LOADS = 3
"""Times a model is loaded; the median counts."""
SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """``rss_mb``: growth by the first load and run; ``process_mb``: all of the process then."""

    load_ms: float
    rss_mb: float
    process_mb: float


def footprint(
    path: Path, runtime: str, threads: int, batch: int, seed: int = 0
) -> tuple[Footprint, Opened]:
    """Measured in this process, where pages that an earlier model freed make ``rss_mb`` small."""
    gc.collect()
    before = psutil.Process().memory_info().rss
    loads: list[int] = []
    opened, after = None, before
    for _ in range(LOADS):
        started = time.perf_counter_ns()
        found = runtimes()[runtime].open(path, threads, batch, seed)
        loads.append(time.perf_counter_ns() - started)
        if opened is None:
            opened = found
            opened.run()
            after = psutil.Process().memory_info().rss
    taken = Footprint(
        load_ms=float(np.median(loads)) / 1e6,
        rss_mb=max(0.0, (after - before) / 1e6),
        process_mb=after / 1e6,
    )
    return taken, opened or found


def fresh_footprint(path: Path, runtime: str, threads: int, batch: int) -> Footprint:
    """The same in a process of its own that has imported the runtime and loaded nothing else.

    Raises:
        BenchError: If that process fails.
    """
    root = str(Path(aum_edge.__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    values = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads)}
    words = [str(path.resolve()), runtime, str(threads), str(batch)]
    command = [sys.executable, "-m", "aum_edge.bench.footprint", *words]
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=values, timeout=SECONDS
        )
        return Footprint(**json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise BenchError(
            f"{path} in {runtime} could not be loaded in a process of its own: {lines[-1][:200]}"
        ) from error


def main(words: list[str]) -> int:
    """Print the footprint of a model in this process."""
    path, runtime, threads, batch = words
    torch.set_num_threads(int(threads))
    if runtime == "openvino":
        importlib.import_module(runtime)
    taken, _ = footprint(Path(path), runtime, int(threads), int(batch))
    print(json.dumps(asdict(taken)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
