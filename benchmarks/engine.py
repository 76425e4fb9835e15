"""The C engine against CP-Mobile, and against the same student, in onnxruntime.

    python benchmarks/engine.py --out benchmarks/results

Every preset in float and int8 is generated and compiled for each instruction set that this machine
has, and as plain C; all of them take turns with the two onnxruntime models in one loop, on one
thread, by its CPU time. Writes engine.md and engine.svg.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.audio.frontend import FrontEnd
from aum_edge.bench.host import host
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.quantize import quantize
from aum_edge.export.c.generate import STAGES, Program, generate
from aum_edge.export.onnx.export import export_onnx
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.presets import STUDENTS, preset
from aum_edge.models.registry import build
from aum_edge.runtimes.c_compiler import Isa, build_library, find_compiler, flags
from aum_edge.runtimes.onnx import OnnxClassifier

sys.path.insert(0, str(Path(__file__).parent))
from engine_report import Row, picture, report

NEEDS = {"avx512": ("avx512f", "avx512bw"), "avx2": ("avx2", "fma")}
CONTROL = "CP-Mobile, onnxruntime"
STAGE_HEADER = """\
#include <x86intrin.h>
unsigned long long stage_times[32], stage_last;
#define AUM_STAGE(i) (stage_times[i] += __rdtsc() - stage_last, stage_last = __rdtsc())
"""


def main() -> int:
    """Build, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = ["student-ssd", "student-ssd-tiny", "student-s6", "student-noscan"]
    parser.add_argument("--presets", nargs="+", default=chosen, choices=list(STUDENTS))
    parser.add_argument("--builds", nargs="+", default=possible(), choices=get_args(Isa))
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    before = host()
    with tempfile.TemporaryDirectory() as folder:
        rows = contestants(options.presets, options.builds, Path(folder))
        take_turns(rows, options.rounds)
    configs = {name: classifier(name).backbone.config for name in options.presets}
    text = report(rows, configs, before, time.perf_counter() - started)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "engine.md").write_text(text, encoding="utf-8")
    picture(rows, options.out / "engine.svg")
    print(text)
    return 0


def possible() -> list[str]:
    """Builds that this machine can run."""
    have = host()["cpu_flags"]
    vectors = [name for name, needed in NEEDS.items() if set(needed) <= set(have)]
    return [*vectors, "baseline", "portable"]


def classifier(name: str) -> AudioClassifier:
    """A preset with random weights and statistics at the challenge's front end."""
    torch.manual_seed(0)
    model = AudioClassifier(
        build(preset(name, n_classes=10, n_mels=256, n_frames=65)),
        frontend=FrontEndConfig(),
        normalization=Normalization(mean=-4.0, std=2.5),
        labels=tuple("abcdefghij"),
    )
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if key.endswith(("norm.weight", "norm_f.weight", ".1.weight", "running_var")):
                tensor.uniform_(0.5, 1.5)
            elif key.endswith(("running_mean", ".1.bias", "mixer.D")):
                tensor.normal_()
    return model.eval()


def contestants(presets: list[str], builds: list[Isa], folder: Path) -> list[Row]:
    """CP-Mobile, then every preset in onnxruntime and in C."""
    rows = [Row(CONTROL, "float", "", in_onnxruntime(classifier("cp-mobile"), folder, "cp"))]
    for name in presets:
        model = classifier(name)
        print(f"building {name} in onnxruntime", flush=True)
        run = in_onnxruntime(model, folder, name)
        rows.append(Row(name, "float", "onnxruntime", run))
        for weights, made in (("float", model), ("int8", quantize(model, QuantizeConfig()))):
            for isa in builds:
                print(f"building {name} {weights} {isa}", flush=True)
                rows.append(in_c(made, name, weights, isa, folder))
        rows.append(from_samples(model, name, builds[0], folder))
    return rows


def in_onnxruntime(model: AudioClassifier, folder: Path, name: str) -> Callable[[], object]:
    """One clip of features through the exported graph."""
    path = folder / f"{name}.onnx"
    export_onnx(model, path)
    runner = OnnxClassifier(path, 1)
    clip = features(model)[:1].numpy()
    return lambda: runner.run(clip)


def features(model: AudioClassifier, count: int = 4) -> torch.Tensor:
    """Noise in the model's range, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(model.example_input(count).shape, generator=generator) * 2.5 - 4


def written(model: AudioClassifier, folder: Path, stem: str) -> tuple[Program, Path]:
    """The generated files in a folder of their own."""
    program = generate(model, "engine")
    home = folder / stem
    home.mkdir(exist_ok=True)
    (home / "engine.h").write_text(program.header)
    (home / "engine.c").write_text(program.source)
    return program, home


def in_c(model: AudioClassifier, name: str, weights: str, isa: Isa, folder: Path) -> Row:
    """A student compiled for one instruction set, compared with torch, its stages timed."""
    program, home = written(model, folder, f"{name}-{weights}")
    path = build_library([home / "engine.c"], [home / "engine.h"], isa)
    call = loaded(ctypes.CDLL(str(path)), "run_features")
    clips = features(model)
    with torch.inference_mode():
        expected = model(clips).numpy()
    got = np.stack([call(clip) for clip in clips.numpy()])
    clip = clips[0].numpy()
    return Row(
        name,
        weights,
        isa,
        lambda: call(clip),
        error=float(np.abs(got - expected).max()),
        code=code_bytes(path),
        projections=projections(model),
        program=program,
        shares=stage_shares(home, isa, clip),
    )


def from_samples(model: AudioClassifier, name: str, isa: Isa, folder: Path) -> Row:
    """The same program with its front end: one second of samples in."""
    program, home = written(model, folder, f"{name}-float")
    path = build_library([home / "engine.c"], [home / "engine.h"], isa)
    call = loaded(ctypes.CDLL(str(path)), "run")
    generator = np.random.default_rng(0)
    samples = 0.1 * generator.standard_normal(model.frontend.clip_samples, dtype=np.float32)
    with torch.inference_mode():
        made = FrontEnd(model.frontend)(torch.from_numpy(samples)[None])
        expected = model(made.unsqueeze(1)).numpy()[0]
    error = float(np.abs(call(samples) - expected).max())
    build = f"{isa}, from samples"
    return Row(name, "float", build, lambda: call(samples), error=error, program=program)


def loaded(library: ctypes.CDLL, function: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function of a compiled engine with its arena: input to logits."""
    library.engine_size.restype = ctypes.c_size_t
    size = library.engine_size()
    memory = np.zeros(size + 64, np.uint8)
    arena = ctypes.c_void_p(memory.ctypes.data + -memory.ctypes.data % 64)
    if library.engine_init(arena, ctypes.c_size_t(size)):
        raise SystemExit("the engine does not start")
    logits = np.zeros(10, np.float32)
    run = getattr(library, f"engine_{function}")
    run.argtypes = [ctypes.c_void_p] * 3
    out = logits.ctypes.data

    def call(values: np.ndarray) -> np.ndarray:
        if run(arena, values.ctypes.data, out) or not len(memory):
            raise SystemExit("the engine does not run")
        return logits.copy()

    return call


def projections(model: AudioClassifier) -> int:
    """Weights of in_proj and out_proj."""
    ends = ("in_proj.weight", "out_proj.weight")
    weights = model.backbone.named_parameters()
    return sum(weight.numel() for name, weight in weights if name.endswith(ends))


def code_bytes(library: Path) -> int:
    """Machine code in a library, without tables and weights; 0 where `size` is not there."""
    try:
        done = subprocess.run(["size", "-A", str(library)], capture_output=True, text=True)
    except OSError:
        return 0
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(".text")]
    return int(found[0]) if found else 0


def stage_shares(home: Path, isa: Isa, clip: np.ndarray, runs: int = 300) -> dict[str, float]:
    """What part of a clip's time each stage takes; the smallest time of each counts. x86 only."""
    if host()["machine"].lower() not in ("x86_64", "amd64"):
        return {}
    (home / "stages.h").write_text(STAGE_HEADER)
    out = home / f"stages-{isa}.so"
    command = [*find_compiler().command, *flags(isa), "-shared", "-fPIC", "-include", "stages.h"]
    subprocess.run([*command, "engine.c", "-o", str(out)], cwd=home, check=True)
    library = ctypes.CDLL(str(out))
    call = loaded(library, "run_features")
    times = (ctypes.c_ulonglong * 32).in_dll(library, "stage_times")
    best = np.full(len(STAGES), np.inf)
    for _ in range(runs):
        ctypes.memset(times, 0, ctypes.sizeof(times))
        call(clip)
        # The first stage also holds what passed since the last clip: its smallest is its own.
        best = np.minimum(best, np.array(times[: len(STAGES)], dtype=float))
    best[0] = best[0] if best[0] < best.sum() / 4 else 0
    return dict(zip(STAGES, best / best.sum(), strict=True))


def take_turns(rows: list[Row], rounds: int) -> None:
    """All contestants one after the other, each warmed by an untimed run, many times."""
    for done in range(rounds):
        for row in rows:
            row.run()
            for _ in range(3):
                started = time.thread_time_ns()
                row.run()
                row.times.append((time.thread_time_ns() - started) / 1e6)
        if done % 10 == 0:
            print(f"round {done + 1} of {rounds}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
