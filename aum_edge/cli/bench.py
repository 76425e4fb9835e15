"""`aum-edge bench MODEL ...`: latency side by side, against a preset or the first model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aum_edge.core.progress import stderr_progress
from aum_edge.errors import RecipeError
from aum_edge.runtimes.registry import runtimes

if TYPE_CHECKING:
    from aum_edge.bench.compare import Change

PLOTS = (".svg", ".png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="model or run directories, exported files, and presets such as cp-mobile",
    )
    parser.add_argument(
        "--runtime",
        metavar="NAME,...",
        default="",
        help=f"{', '.join(runtimes())}; by default torch for directories and the usual one of a "
        "file's ending. A directory is exported for the others",
    )
    parser.add_argument("--threads", metavar="N,...", default="1", help="for example 1,2")
    parser.add_argument("--runs", type=int, default=200, help="timed runs of each")
    parser.add_argument("--warmup", type=int, default=20, help="runs before these")
    parser.add_argument("--batch", type=int, default=1, help="clips at once")
    parser.add_argument(
        "--control",
        metavar="MODEL",
        help="what ratios are against: the first preset, or the first model",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="a picture, .svg or .png")
    parser.add_argument("--save", type=Path, metavar="FILE.json", help="keep the numbers")
    parser.add_argument(
        "--compare", type=Path, metavar="OLD.json", help="numbers kept earlier on this host"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run(options: argparse.Namespace) -> int:
    """Measure all models interleaved and print a table; 1 if one of them could not be timed."""
    threads = _counts(options.threads)
    if options.plot and options.plot.suffix.lower() not in PLOTS:
        raise RecipeError(f"`plot` takes a name in {' or '.join(PLOTS)}, got {options.plot}.")
    for path in filter(None, (options.save, options.plot)):
        _make_room(path)
    from aum_edge.bench.compare import changes, check_same_host, read_earlier
    from aum_edge.bench.config import BenchConfig, BenchPlan

    plan = BenchPlan(
        runtimes=tuple(filter(None, options.runtime.split(","))),
        threads=threads,
        batch=options.batch,
        fresh=True,
        tolerant=True,
    )
    config = BenchConfig(threads=threads[0], runs=options.runs, warmup=options.warmup)
    from aum_edge.bench.bench import bench
    from aum_edge.bench.host import host

    machine = host()
    earlier = read_earlier(options.compare) if options.compare else None
    notes = check_same_host(machine, earlier["host"]) if earlier else []
    report = bench(
        options.models, config, plan=plan, control=options.control, progress=stderr_progress()
    )
    values = report.to_dict()
    compared = changes(values, earlier) if earlier else []
    for line in [*values["warnings"], *notes, *(row["reason"] for row in values["skipped"])]:
        _warn(line)
    for row in values["failed"]:
        _warn(row["reason"])
    if options.save:
        _write(options.save, json.dumps(values, indent=1) + "\n")
    if options.plot:
        from aum_edge.report.plots.bench_plot import save_plot

        save_plot(values, options.plot)
    if options.json:
        print(json.dumps(values, indent=1))
    else:
        print(report)
        if earlier:
            _print_changes(compared, options.compare)
    return 1 if values["failed"] else 0


def _counts(text: str) -> tuple[int, ...]:
    """``1,2`` as numbers; their range is checked where they are used."""
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise RecipeError(
            f"`threads` takes whole numbers from 1 on, for example 1,2, got {text!r}."
        ) from None


def _warn(line: str) -> None:
    print(f"aum-edge: {line}", file=sys.stderr)


def _make_room(path: Path) -> None:
    """The file's folder, before minutes are spent on what could not be written there.

    Raises:
        RecipeError: If the name is that of a folder.
    """
    if path.is_dir():
        raise RecipeError(f"{path} is a folder: give the name of the file to write.")
    path.parent.mkdir(parents=True, exist_ok=True)


def _write(path: Path, text: str) -> None:
    """All of the text or, where that fails, the file as it was."""
    from aum_edge.core.files import write_text

    write_text(path, text)


def _print_changes(found: Sequence[Change], path: Path) -> None:
    print()
    if not found:
        print(f"{path} has none of these models in this runtime, threads and batch.")
        return
    print(f"beside {path}:")
    for row in found:
        ratio = ""
        if row.now_ratio and row.then_ratio:
            ratio = f", ratio to the control {row.then_ratio:.2f} then, {row.now_ratio:.2f} now"
        print(
            f"  {row.model} {row.runtime} {row.threads} thr: {row.then_ms:.3f} ms then, "
            f"{row.now_ms:.3f} now, {row.times:.2f} times{ratio}"
            + (" (another file)" if row.other_file else "")
        )
