"""What longer clips and larger batches cost: two students, a stream, and CP-Mobile as control.

    python benchmarks/growth.py --out benchmarks/results

Clips of 1 s to 10 min, batches of 1 to 64 clips of 1 s, in onnxruntime and torch with one thread.
Every cell is a process of its own, which reports its peak memory; what a form cannot take, or what
takes longer than --limit seconds, is named in the table. An .onnx file is exported for its length;
one length is timed at a time with all models in turn. Writes growth.md and growth.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from growth_report import page, picture

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.core.progress import stderr_progress
from aum_edge.errors import AumEdgeError
from aum_edge.export.onnx.export import export_onnx
from aum_edge.export.onnx.streaming import export_streaming
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.runtimes.onnx_stream import BoundSteps, OnnxStream

MODELS = ("cp-mobile", "student-ssd", "student-s6")
STREAM = "student-ssd-causal"
SECONDS = (1, 3, 10, 30, 120, 600)
BATCHES = (1, 4, 16, 64)
REPEATS, ENOUGH, LONGEST = 5, 0.5, 3.0
"""Runs of a cell, as many as fit into half a second or else up to five within three seconds."""


@dataclass(frozen=True)
class Cell:
    """One measurement: ``kind`` is onnxruntime, torch or stream."""

    model: str
    kind: str
    seconds: int
    batch: int


def main() -> int:
    """Measure every cell in a process of its own."""
    options = arguments()
    if options.cell:
        print(json.dumps(measured(Cell(**json.loads(options.cell)), options.file)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = in_turn(options, Path(folder))
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(page(rows, options))
    (options.out / "growth.md").write_text(text, encoding="utf-8")
    picture(rows, options.out / "growth.svg")
    print(text)
    return 0


def in_turn(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Every cell that the limits allow; after a failure no larger one of its family is tried."""
    todo = list(cells(options))
    rows: list[dict[str, Any]] = []
    show = stderr_progress()
    started, gone = time.monotonic(), set()
    for done, cell in enumerate(todo):
        show(done, len(todo), f"{cell.model} {cell.kind} {cell.seconds} s x {cell.batch}")
        family = (cell.model, cell.kind, cell.batch == 1)
        late = time.monotonic() - started > options.total
        if family in gone or late:
            why = "the total limit was reached" if late else "a smaller one was over the limit"
            rows.append({**asdict(cell), "why": f"not tried: {why}"})
            continue
        rows.append({**asdict(cell), **process(cell, folder, options.limit)})
        if "why" in rows[-1]:
            gone.add(family)
    show(len(todo), len(todo), "done")
    return rows


def arguments() -> argparse.Namespace:
    """Options of the script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--limit", type=float, default=45, help="seconds for one cell")
    parser.add_argument("--total", type=float, default=460, help="seconds for all of them")
    parser.add_argument("--quick", action="store_true", help="two lengths, two batches")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, default=Path("m.onnx"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.seconds = SECONDS[:2] if options.quick else SECONDS
    options.batches = BATCHES[:2] if options.quick else BATCHES
    return options


def cells(options: argparse.Namespace) -> Iterator[Cell]:
    """Short ones first, so that a limit cuts off the long ones; models take turns."""
    for kind in ("onnxruntime", "torch"):
        for batch in options.batches:
            yield from (Cell(model, kind, 1, batch) for model in MODELS)
    yield from (Cell(STREAM, "stream", seconds, 1) for seconds in options.seconds)
    for seconds in options.seconds[1:]:
        for kind in ("onnxruntime", "torch"):
            yield from (Cell(model, kind, seconds, 1) for model in MODELS)


def process(cell: Cell, folder: Path, limit: float) -> dict[str, Any]:
    """A cell's numbers, or why there are none; its file is exported first where there is none."""
    length = 1 if cell.kind == "stream" else cell.seconds
    path = folder / f"{cell.model}-{length}.onnx"
    if cell.kind != "torch" and not path.exists():
        made = called(Cell(cell.model, "export", length, 1), path, limit)
        if "why" in made:
            return {"why": f"export: {made['why']}"}
    return called(cell, path, limit)


def called(cell: Cell, path: Path, limit: float) -> dict[str, Any]:
    """What the cell's own process says."""
    words = ["--cell", json.dumps(asdict(cell)), "--file", str(path)]
    try:
        done = subprocess.run(
            [sys.executable, __file__, *words],
            capture_output=True,
            text=True,
            timeout=limit,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"why": f"over {limit:g} s"}
    if done.returncode:
        return {"why": (done.stderr.strip().splitlines() or ["killed, out of memory?"])[-1][:160]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(cell: Cell, path: Path) -> dict[str, Any]:
    """Median milliseconds a run and megabytes over the loaded model, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kinds = {"torch": in_torch, "onnxruntime": in_onnxruntime, "stream": in_steps}
    try:
        run = {**kinds, "export": exported}[cell.kind](cell, path)
        before = psutil.Process().memory_info().rss
        peak_from_here()
        run()
        grown = peak_bytes() - before
        times = repeated(run)
    except AumEdgeError as error:
        return {"why": str(error)[:160]}
    return {"ms": float(np.median(times)) / 1e6, "least": min(times) / 1e6, "mb": grown / 1e6}


def repeated(run: Callable[[], Any]) -> list[int]:
    """Nanoseconds of each run: of many where one is short, of a few where they are long."""
    times: list[int] = []
    began = time.monotonic()
    while (
        not times
        or (past := time.monotonic() - began) < ENOUGH
        or (len(times) < REPEATS and past < LONGEST)
    ):
        started = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - started)
    return times


def network(name: str, seconds: int) -> AudioClassifier:
    """A preset for clips of this length at the challenge's front end."""
    frontend = FrontEndConfig(clip_seconds=float(seconds))
    config = preset(name, n_classes=10, n_mels=256, n_frames=frontend.n_frames)
    return AudioClassifier(
        build(config),
        frontend=frontend,
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=tuple("abcdefghij"),
    ).eval()


def features(model: AudioClassifier, batch: int) -> torch.Tensor:
    """Noise as features."""
    return torch.randn(batch, 1, model.frontend.n_mels, model.frontend.n_frames)


def in_torch(cell: Cell, path: Path) -> Callable[[], Any]:
    """Eager torch."""
    model = network(cell.model, cell.seconds)
    example = features(model, cell.batch)

    def run() -> Any:
        with torch.inference_mode():
            return model(example)

    return run


def exported(cell: Cell, path: Path) -> Callable[[], Any]:
    """Write the file of a model and length; a process of its own, so that it costs no memory."""
    model = network(cell.model, cell.seconds)
    if cell.model == STREAM:
        export_streaming(model, path)
    else:
        export_onnx(model, path, clips=features(model, 1))
    return lambda: None


def in_onnxruntime(cell: Cell, path: Path) -> Callable[[], Any]:
    """The file of this length."""
    runner = OnnxClassifier(path)
    example = features(network(cell.model, cell.seconds), cell.batch).numpy()
    return lambda: runner.run(example)


def in_steps(cell: Cell, path: Path) -> Callable[[], Any]:
    """The step graph alone over as many frames: the network of a stream, without its front end."""
    runner = OnnxStream(path)
    streaming = runner.metadata["streaming"]
    shape = (1, 1, runner.frontend.n_mels, streaming["frames"])
    steps = BoundSteps(runner.session, shape, streaming["state"])
    frames = np.random.default_rng(0).standard_normal(shape[2:], dtype=np.float32)
    count = cell.seconds * runner.frontend.sample_rate
    count //= runner.frontend.hop_length * streaming["frames"]

    def run() -> None:
        steps.reset()
        for _ in range(count):
            steps.step(frames)

    return run


def peak_from_here() -> None:
    """Forget the resident peak so far (Linux)."""
    if (clear := Path("/proc/self/clear_refs")).exists():
        clear.write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Resident peak since then; elsewhere what is resident now."""
    if (status := Path("/proc/self/status")).exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    raise SystemExit(main())
