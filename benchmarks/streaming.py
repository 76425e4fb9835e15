"""A long recording as one stream: real-time factor, memory, and the logits' error.

    python benchmarks/streaming.py --out benchmarks/results

Streams noise of 1, 3 and 10 minutes at 44.1 kHz through resampler, front end and step graph in
pieces of 100 ms, each length in a process of its own, and writes streaming.md. The control runs
the same seconds as clips of 1 s through CP-Mobile's graph with the same front end.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.frontend import FrontEnd
from aum_edge.audio.resample import resample
from aum_edge.audio.streaming import StreamingResampler
from aum_edge.bench.host import host
from aum_edge.export.onnx.export import export_onnx
from aum_edge.export.onnx.streaming import export_streaming
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import preset
from aum_edge.models.registry import build
from aum_edge.runtimes.onnx import OnnxClassifier
from aum_edge.runtimes.onnx_stream import OnnxStream

RATE = 44_100
PIECE = RATE // 10
SECONDS = (60, 180, 600)
CHECKED = 60
"""Seconds whose logits are compared with the whole recording in torch."""


def main() -> int:
    """Measure every length, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.one:
        print(json.dumps(stream(options.files, options.one)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        rows = [measured(Path(folder), seconds) for seconds in SECONDS]
        control = clip_by_clip(Path(folder))
    machine = host()
    lines = [
        "# A long recording as one stream",
        "",
        f"Command: `python benchmarks/streaming.py`. Host: {machine['cpu']}, one thread, "
        f"onnxruntime {machine['onnxruntime']}, load {machine['load_average']}. "
        "student-ssd-causal with random weights, 256 mels at 32 kHz, audio at 44.1 kHz in pieces "
        "of 100 ms; resampling and front end included. CPU time is the factor without waiting "
        "for a busy core.",
        "",
        "| seconds | real-time factor | CPU time | of it network | ms a piece p50 / p99 | "
        "MB after 10 s | MB more at the end | largest logit error, first minute |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['seconds']} | {row['rtf']:.4f} | {row['cpu_rtf']:.4f} | "
            f"{row['network_rtf']:.4f} | "
            f"{row['p50']:.2f} / {row['p99']:.2f} | {row['early_mb']:.0f} | "
            f"{row['growth_mb']:.1f} | {row['error']:.1e} |"
            for row in rows
        ),
        "",
        f"Control: CP-Mobile on clips of 1 s with the same resampler and front end takes "
        f"{control:.4f} of real time, and answers once a second instead of 16 times.",
        "",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "streaming.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))
    return 0


def classifier(name: str) -> AudioClassifier:
    """A preset with random weights at the challenge's front end."""
    torch.manual_seed(0)
    config = preset(name, n_classes=10, n_mels=256, n_frames=65)
    return AudioClassifier(
        build(config),
        frontend=FrontEndConfig(),
        normalization=Normalization(mean=-2.0, std=3.0),
        labels=tuple("abcdefghij"),
    ).eval()


def make_files(folder: Path) -> None:
    """The step graph and the control's graph."""
    export_streaming(classifier("student-ssd-causal"), folder / "step.onnx")
    export_onnx(classifier("cp-mobile"), folder / "control.onnx")


def measured(folder: Path, seconds: int) -> dict[str, float]:
    """One length in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--one", str(seconds), "--files", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def stream(folder: Path, seconds: int) -> dict[str, float]:
    """Stream so many seconds and report."""
    runner = OnnxStream(folder / "step.onnx")
    resampler = StreamingResampler(RATE, runner.frontend.sample_rate)
    network = 0.0
    step = runner._step

    def timed(frames: torch.Tensor) -> torch.Tensor | None:
        nonlocal network
        started = time.perf_counter()
        out = step(frames)
        network += time.perf_counter() - started
        return out

    runner._step = timed  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    process = psutil.Process()
    times, early, logits = [], 0.0, None
    work = 0.0
    for index in range(10 * seconds):
        piece = torch.from_numpy(0.1 * rng.standard_normal(PIECE).astype(np.float32))
        started, spent = time.perf_counter(), time.thread_time()
        runner.push(resampler.push(piece))
        times.append(time.perf_counter() - started)
        work += time.thread_time() - spent
        if index == 99:
            early = process.memory_info().rss / 1e6
        if index == 10 * CHECKED - 1:
            logits = runner.logits
    return {
        "seconds": seconds,
        "rtf": sum(times) / seconds,
        "cpu_rtf": work / seconds,
        "network_rtf": network / seconds,
        "p50": 1e3 * statistics.median(times),
        "p99": 1e3 * sorted(times)[int(0.99 * len(times))],
        "early_mb": early,
        "growth_mb": process.memory_info().rss / 1e6 - early,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "error": error_of(logits, runner),
    }


def error_of(logits: torch.Tensor | None, runner: OnnxStream) -> float:
    """Against torch on the first minute at once, up to the frames the stream had heard."""
    assert logits is not None
    rng = np.random.default_rng(0)
    sound = np.concatenate(
        [0.1 * rng.standard_normal(PIECE).astype(np.float32) for _ in range(10 * CHECKED)]
    )
    waveform = resample(torch.from_numpy(sound), RATE, runner.frontend.sample_rate)
    features = FrontEnd(runner.frontend)(waveform[None])
    # The windows of the last frames were not complete yet: count back what the stream had.
    model = classifier("student-ssd-causal")
    best = 1e9
    with torch.inference_mode():
        for behind in range(0, 8):
            tokens = (features.shape[2] - 1) // 4 + 1 - behind
            cut = features[None, :, :, : 4 * (tokens - 1) + 1]
            best = min(best, float((model(cut)[0] - logits).abs().max()))
    return best


def clip_by_clip(folder: Path) -> float:
    """Real-time factor of the control on clips of 1 s."""
    runner = OnnxClassifier(folder / "control.onnx")
    front_end = FrontEnd(runner.frontend)
    rng = np.random.default_rng(0)
    times = []
    for _ in range(60):
        clip = torch.from_numpy(0.1 * rng.standard_normal(RATE).astype(np.float32))
        started = time.perf_counter()
        waveform = resample(clip, RATE, runner.frontend.sample_rate)
        runner.run(front_end(waveform[None]).unsqueeze(1).numpy())
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    raise SystemExit(main())
