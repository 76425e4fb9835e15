"""The log-mel front end in C against torch's, for each instruction set: time, error, memory.

    python benchmarks/frontend_c.py --out benchmarks/results

Every build and torch take turns on one second of noise, on one thread, by its CPU time; errors are
against the same front end in float64. Writes frontend_c.md.
"""

from __future__ import annotations

import argparse
import ctypes
import datetime
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from aum_edge.audio.config import FrontEndConfig, aum_fbank
from aum_edge.audio.frontend import FrontEnd
from aum_edge.bench.host import busy, host
from aum_edge.core.progress import stderr_progress
from aum_edge.export.c.budget import PER_FRONT_END_MAC, PER_LOG
from aum_edge.export.c.frontend.source import CFrontEnd, front_end
from aum_edge.runtimes.c_compiler import CPU_INFO, Isa, build_library, find_compiler

CONFIGS = {
    "32 kHz, 4096 points, 256 mels (default)": FrontEndConfig(),
    "16 kHz, Kaldi, 512 points, 128 mels": aum_fbank(clip_seconds=1.0),
    "16 kHz, 512 points, 64 mels": FrontEndConfig(
        sample_rate=16_000, n_fft=512, win_length=400, hop_length=160, n_mels=64
    ),
    "48 kHz, 960 points, 64 mels": FrontEndConfig(
        sample_rate=48_000, n_fft=960, win_length=960, hop_length=480, n_mels=64
    ),
}
NEEDS = {"avx512": "avx512f", "avx2": "avx2"}
PROGRAM = """
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define INLINE static inline
{source}
void run(const float *samples, float *features, float *scratch);
void run(const float *samples, float *features, float *scratch)
{{
    int32_t frame;
    for (frame = 0; frame < FE_FRAMES; frame++)
        fe_frame(samples, frame, features + frame * FE_MELS, scratch);
}}
"""
TARGET_MS = 0.4


def main() -> int:
    """Measure every front end, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--runs", type=int, default=300, help="timed runs of each build")
    options = parser.parse_args()
    torch.set_num_threads(1)
    show = stderr_progress()
    sections = []
    for index, (name, config) in enumerate(CONFIGS.items()):
        show(index, len(CONFIGS), name)
        sections += section(name, config, options.runs)
    show(len(CONFIGS), len(CONFIGS), "front ends")
    machine = host()
    lines = [
        "# The front end in C",
        "",
        f"Command: `python benchmarks/frontend_c.py --runs {options.runs}`. Host: "
        f"{machine['cpu']}, one thread, load {machine['load_average']}, torch {machine['torch']}, "
        f"{find_compiler().version}, {datetime.date.today()}."
        + (f" Note: {busy(machine)}." if busy(machine) else ""),
        "",
        "One second of noise; CPU time of the thread, builds and torch in turns; the error is the "
        "largest of a log-mel against float64. `portable` is plain C at -O2 without vector types, "
        "`baseline` the architecture without extensions. Instructions are an estimate for "
        "Cortex-M7 (see `aum_edge/export/c/budget.py`). The target of the default front end is "
        f"{TARGET_MS} ms with AVX-512.",
        "",
        *sections,
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "frontend_c.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))
    return 0


def section(name: str, config: FrontEndConfig, runs: int) -> list[str]:
    """One front end's table."""
    made = front_end(config, ("frame", "stream", "end"))
    noise = np.random.default_rng(0).standard_normal(config.clip_samples)
    samples = (0.1 * noise).astype(np.float32)
    exact = FrontEnd(config).double()(torch.from_numpy(samples)[None])[0].numpy()
    calls, errors = contestants(config, samples, exact)
    best = turns(calls, runs)
    count = PER_FRONT_END_MAC * made.macs * config.n_frames
    count += PER_LOG * config.n_mels * config.n_frames
    return [
        f"## {name}",
        "",
        f"Tables {made.tables_bytes:,} bytes, scratch {4 * made.scratch_floats:,}, a stream's "
        f"samples {4 * made.stream_floats:,}; {made.macs * config.n_frames:,} multiplications and "
        f"about {count / 1e6:.1f} million instructions a second.",
        "",
        "| build | ms, smallest | ms, median | of torch's | error |",
        "|---|---|---|---|---|",
        *(
            f"| {build} | {np.min(times):.3f} | {np.median(times):.3f} | "
            f"{np.min(times) / np.min(best['torch']):.2f} | {errors[build]:.1e} |"
            for build, times in best.items()
        ),
        "",
    ]


def contestants(
    config: FrontEndConfig, samples: np.ndarray, exact: np.ndarray
) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """What takes turns, and how far each is from float64."""
    module, waveform = FrontEnd(config), torch.from_numpy(samples)[None]
    calls: dict[str, Callable[[], object]] = {"torch": lambda: module(waveform)}
    errors = {"torch": float(abs(module(waveform)[0].numpy() - exact).max())}
    cpu = CPU_INFO.read_text(encoding="utf-8") if CPU_INFO.is_file() else ""
    for isa in get_args(Isa):
        if NEEDS.get(isa, "") in cpu:
            run, features = compiled(config, isa, samples)
            run()
            calls[isa], errors[isa] = run, float(abs(features.T - exact).max())
    return calls, errors


def compiled(
    config: FrontEndConfig, isa: Isa, samples: np.ndarray
) -> tuple[Callable[[], object], np.ndarray]:
    """A build's call, and the features [frames][mels] that it fills."""
    made: CFrontEnd = front_end(config, ("frame",))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "front.c"
        source.write_text(PROGRAM.format(source=made.source), encoding="utf-8")
        library = ctypes.CDLL(str(build_library([source], [], isa)))
    features = np.zeros((config.n_frames, config.n_mels), np.float32)
    scratch = np.zeros(made.scratch_floats + 16, np.float32)
    start = -scratch.ctypes.data % 64
    at = [array.ctypes.data for array in (samples, features)] + [scratch.ctypes.data + start]
    library.run.argtypes = [ctypes.c_void_p] * 3

    def run() -> object:
        _ = samples, features, scratch  # alive as long as their addresses are used
        return library.run(*at)

    return run, features


def turns(calls: dict[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of every run; each is called once untimed just before."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            call()
            started = time.thread_time_ns()
            call()
            times[name].append((time.thread_time_ns() - started) / 1e6)
    return times


if __name__ == "__main__":
    raise SystemExit(main())
