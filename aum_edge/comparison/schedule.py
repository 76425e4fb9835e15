"""Runs of a comparison as processes: each with one thread and a log, several at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aum_edge.comparison.config import CompareRecipe

POLL = 0.5
"""Seconds between looks at the processes."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Task = tuple[str, int | None]
"""A fold and a seed; without a seed it is the fold's preparation."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The missing runs of a comparison, done by ``jobs`` processes at a time.

    Every process is ``aum-edge compare`` itself with ``--unit``, and resumable by itself.
    """

    recipe: CompareRecipe
    path: Path
    """Of the recipe's file, which the processes read again."""
    out: Path
    changes: Sequence[str] = ()
    """``--set`` values."""
    cache: Path | None = None
    jobs: int = 1
    report: Callable[[str], None] = field(default=print)
    """Called with a line for each run that ends."""
    finished: Callable[[], object] = field(default=lambda: None)
    """Called whenever a seed of a fold is done."""

    def work(self) -> list[Task]:
        """Prepare every fold, then do every seed of those that are; the runs that failed."""
        failed = self._all([(fold, None) for fold in self.recipe.folds])
        unprepared = {fold for fold, _ in failed}
        folds = [fold for fold in self.recipe.folds if fold not in unprepared]
        return failed + self._all([(fold, seed) for seed in self.recipe.seeds for fold in folds])

    def _all(self, tasks: Sequence[Task]) -> list[Task]:
        """Do these; ends every process that it started, whatever happens."""
        failed: list[Task] = []
        running: dict[Task, subprocess.Popen[bytes]] = {}
        waiting, started = list(tasks), time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    task = waiting.pop(0)
                    running[task] = self._start(task)
                time.sleep(POLL)
                for task in [task for task, child in running.items() if child.poll() is not None]:
                    code = running.pop(task).returncode
                    done = len(tasks) - len(waiting) - len(running)
                    minutes = (time.monotonic() - started) / 60
                    self.report(
                        f"{name_of(task)}: {self._state(task, code)}; {done} of {len(tasks)}, "
                        f"{minutes:.1f} min"
                    )
                    if code != 0:
                        failed.append(task)
                    elif task[1] is not None:
                        self.finished()
        finally:
            for child in running.values():
                child.terminate()
            for child in running.values():
                child.wait()
        return failed

    def _start(self, task: Task) -> subprocess.Popen[bytes]:
        self.out.mkdir(parents=True, exist_ok=True)
        fold, seed = task
        command = [sys.executable, "-m", "aum_edge", "compare", str(self.path)]
        command += ["--out", str(self.out), "--unit", f"{fold}:{'' if seed is None else seed}"]
        command += ["--cache", str(self.cache)] if self.cache else []
        command += [word for value in self.changes for word in ("--set", value)]
        with self._log(task).open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **ONE_THREAD}
            )

    def _state(self, task: Task, code: int) -> str:
        """How a run ended; of one that failed its last line, and where its log is."""
        if code == 0:
            return "done"
        path = self._log(task)
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"failed (exit code {code}): {lines[-1] if lines else 'no message'} [{path}]"

    def _log(self, task: Task) -> Path:
        return self.out / f"{name_of(task)}.log"


def name_of(task: Task) -> str:
    """Of a run, for people and for its log."""
    fold, seed = task
    return f"{fold}-prepared" if seed is None else f"{fold}-seed-{seed}"


def read_task(text: str) -> Task:
    """``FOLD:SEED`` or ``FOLD:`` as a task; an argument of the schedule's processes."""
    fold, _, seed = text.rpartition(":")
    return fold, int(seed) if seed else None


def end_with_parent() -> None:
    """End this process when the one that started it is gone.

    A new schedule would otherwise find the run's folder taken.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
