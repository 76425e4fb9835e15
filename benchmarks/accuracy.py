"""The honest comparison: networks under one protocol over folds and seeds. Resumable.

    python benchmarks/accuracy.py recipes/compare/fsdd.yaml --jobs 2

Chooses learning rates on validation data and trains the teacher once a fold; then, for every seed
and fold, trains each arm from labels and by the teacher, prunes and quantizes the student, and
writes NAME.md and NAME.svg under --results after every finished run. Every run is a process with
one thread in a folder of its own under --out: kill this script and start it again, and it goes on
where it was. `--table` only writes the page from what is done.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from aum_edge.bench.host import host
from aum_edge.comparison.config import CompareRecipe
from aum_edge.comparison.page import page
from aum_edge.comparison.runs import SUMMARY, ComparisonRun
from aum_edge.comparison.summary import finished, model_names, spread_of
from aum_edge.core.signals import stoppable
from aum_edge.errors import AumEdgeError, Stopped
from aum_edge.pipeline.recipe import load_recipe_as
from aum_edge.report.plots.spread import draw_spread

POLL = 0.5
"""Seconds between looks at the processes."""
Task = tuple[str, int | None]


def main() -> int:
    """Run what is missing; exit code 1 if a run failed."""
    options = arguments()
    with stoppable():
        return run(options)


def run(options: argparse.Namespace) -> int:
    """Do what the options say; the exit code."""
    try:
        recipe = load_recipe_as(CompareRecipe, options.recipe, options.set)
        out = options.out or Path("runs") / recipe.name
        if options.unit:
            fold, _, seed = options.unit.rpartition(":")
            end_with_parent()
            ComparisonRun(recipe, out, fold, int(seed) if seed else None, line).work()
            return 0
        if options.table:
            return write_page(recipe, out, options)
        failed = prepare(recipe, out, options)
        tasks = [(fold, seed) for seed in recipe.seeds for fold in recipe.folds]
        failed += work(recipe, out, options, [task for task in tasks if task[0] not in failed])
        return max(write_page(recipe, out, options), 1 if failed else 0)
    except AumEdgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return stop.exit_code


def arguments() -> argparse.Namespace:
    """Options of the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path, help="see recipes/compare/")
    parser.add_argument("--out", type=Path, help="default: runs/<recipe name>")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V")
    parser.add_argument("--table", action="store_true", help="write the page from what is done")
    parser.add_argument("--unit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {options.jobs}")
    return options


def prepare(recipe: CompareRecipe, out: Path, options: argparse.Namespace) -> list[str]:
    """Learning rates and teacher of every fold; the folds that could not be prepared."""
    return work(recipe, out, options, [(fold, None) for fold in recipe.folds])


def work(
    recipe: CompareRecipe, out: Path, options: argparse.Namespace, tasks: list[Task]
) -> list[str]:
    """Do the tasks, ``--jobs`` at a time; the folds in which one failed."""
    failed, running = [], {}
    waiting, total = list(tasks), len(tasks)
    started = time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < options.jobs:
                task = waiting.pop(0)
                running[task] = start(task, out, options)
            time.sleep(POLL)
            for task in [task for task, child in running.items() if child.poll() is not None]:
                code = running.pop(task).returncode
                left = len(waiting) + len(running)
                minutes = (time.monotonic() - started) / 60
                state = "done" if code == 0 else f"failed (exit code {code}): {last(task, out)}"
                print(f"{name_of(task)}: {state}; {total - left} of {total}, {minutes:.1f} min")
                if code != 0:
                    failed.append(task[0])
                elif task[1] is not None:
                    write_page(recipe, out, options)
    finally:
        for child in running.values():
            child.terminate()
        for child in running.values():
            child.wait()
    return failed


def start(task: Task, out: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """One task as a process of its own, its words in a log beside the runs."""
    fold, seed = task
    out.mkdir(parents=True, exist_ok=True)
    unit = f"{fold}:{'' if seed is None else seed}"
    command = [sys.executable, __file__, str(options.recipe), "--out", str(out), "--unit", unit]
    command += [word for value in options.set for word in ("--set", value)]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with (out / f"{name_of(task)}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **threads})


def last(task: Task, out: Path) -> str:
    """What a task said last, and where its log is."""
    path = out / f"{name_of(task)}.log"
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} [{path}]"


def end_with_parent() -> None:
    """Do not go on alone when the script was killed: a new one would find the folder taken."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def name_of(task: Task) -> str:
    """Of a task, for people and for its log."""
    fold, seed = task
    return f"{fold}-prepared" if seed is None else f"{fold}-seed-{seed}"


def write_page(recipe: CompareRecipe, out: Path, options: argparse.Namespace) -> int:
    """NAME.md and NAME.svg from the runs that are done."""
    runs = finished(recipe, out)
    if not runs:
        print(f"No run in {out} has a {SUMMARY} yet.", file=sys.stderr)
        return 1
    options.results.mkdir(parents=True, exist_ok=True)
    picture = options.results / f"{recipe.name}.svg"
    names = model_names(recipe)
    percents = {
        title: [100 * value for value in spread_of(runs, name).values]
        for name, title in names.items()
    }
    draw_spread(percents, picture, "macro accuracy on the test split, %")
    machine = host()
    words = (
        f"{machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}, one thread a run"
    )
    arguments = [word for word in sys.argv[1:] if word != "--table"]
    command = f"python benchmarks/accuracy.py {' '.join(arguments)}"
    text = page(recipe, runs, command, words, picture.name)
    (options.results / f"{recipe.name}.md").write_text(text, encoding="utf-8")
    return 0


def line(done: int, total: int, what: str) -> None:
    """Progress in the log of a run, ten lines a job."""
    if done == total or done % max(1, total // 10) == 0:
        print(f"{what}: {done} of {total}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
