"""Generated students compiled and called: small enough for dozens of them."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aum_edge.audio.config import FrontEndConfig, Normalization
from aum_edge.export.c.generate import Program, generate
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.registry import build
from aum_edge.models.student_config import MambaStudentConfig

FRONTEND = FrontEndConfig(sample_rate=8000, n_fft=256, win_length=256, hop_length=500, n_mels=32)
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SIZES: dict[str, Any] = {"n_classes": 3, "n_mels": 32, "n_frames": 17, "d_model": 20, "depth": 2}
SIZES |= {"d_state": 5, "head_dim": 8, "stem_channels": (4, 6)}


def student(seed: int = 3, **fields: Any) -> AudioClassifier:
    """A student whose every weight is random, so that nothing cancels."""
    torch.manual_seed(seed)
    config = MambaStudentConfig(**(SIZES | fields))
    model = AudioClassifier(
        build(config),
        frontend=replace(FRONTEND, n_mels=config.n_mels, clip_seconds=(config.n_frames - 1) / 16),
        normalization=Normalization(mean=-4.0, std=2.5),
        labels=("cat", "dog", "sea"),
    )
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith(("norm.weight", "norm_f.weight", ".1.weight", "running_var")):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", ".1.bias", "mixer.D", "band")):
                tensor.normal_()
        for name, parameter in model.named_parameters():
            if "stem" not in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def noise(model: AudioClassifier, count: int = 3) -> torch.Tensor:
    """Features in the model's range."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(model.example_input(count).shape, generator=generator) * 2.5 - 4


def needs(tool: str) -> str:
    """The tool's path, or the test is skipped."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed")
    return found


def write(program: Program, folder: Path) -> list[Path]:
    """The program's files; its C sources."""
    (folder / f"{program.name}.h").write_text(program.header)
    sources = [folder / f"{program.name}.c"]
    sources[0].write_text(program.source)
    if program.weights is not None:
        sources.append(folder / f"{program.name}_weights.c")
        sources[1].write_text(program.weights)
    return sources


@dataclass
class Engine:
    """A compiled student and its arena."""

    library: ctypes.CDLL
    program: Program
    classes: int

    def __post_init__(self) -> None:
        self.arena = Arena(self.program.arena_bytes)
        assert self.call("size", result=ctypes.c_size_t) == self.program.arena_bytes
        assert self.call("init", self.arena.address, self.program.arena_bytes) == 0

    def call(self, name: str, *values: Any, result: Any = ctypes.c_int) -> int:
        """A public function."""
        function = getattr(self.library, f"{self.program.name}_{name}")
        function.restype = result
        kinds = {int: ctypes.c_size_t, np.ndarray: ctypes.c_void_p, type(None): ctypes.c_void_p}
        given = [v.ctypes.data if isinstance(v, np.ndarray) else v for v in values]
        pairs = zip(given, values, strict=True)
        return function(*[kinds[type(value)](item) for item, value in pairs])

    def features(self, clips: torch.Tensor) -> np.ndarray:
        """Logits of clips (n, 1, mels, frames)."""
        rows = []
        for clip in clips.numpy():
            logits = np.zeros(self.classes, np.float32)
            assert self.call("run_features", self.arena.address, clip.copy(), logits) == 0
            rows.append(logits)
        self.arena.check()
        return np.stack(rows)

    def samples(self, samples: np.ndarray) -> np.ndarray:
        """Logits of one clip's samples."""
        logits = np.zeros(self.classes, np.float32)
        assert self.call("run", self.arena.address, samples, logits) == 0
        self.arena.check()
        return logits


class Arena:
    """Bytes at a line's beginning, with guards behind them."""

    def __init__(self, count: int) -> None:
        self._bytes = np.full(count + 192, 0xA5, np.uint8)
        self._skip = -self._bytes.ctypes.data % 64
        self._count = count

    @property
    def address(self) -> int:
        """Where it begins."""
        return self._bytes.ctypes.data + self._skip

    def check(self) -> None:
        """Nothing was written beyond it."""
        assert (self._bytes[self._skip + self._count :] == 0xA5).all()


def compile_library(
    program: Program, folder: Path, *flags: str, compiler: str = "gcc"
) -> ctypes.CDLL:
    """A shared library, without warnings."""
    out = folder / f"lib{program.name}.so"
    sources = write(program, folder)
    command = [needs(compiler), "-std=c99", *WARNINGS, "-shared", "-fPIC", *flags]
    done = subprocess.run(
        [*command, "-o", str(out), *map(str, sources)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:2000]
    return ctypes.CDLL(str(out))


def engine(model: AudioClassifier, folder: Path, *flags: str, compiler: str = "gcc") -> Engine:
    """A student as compiled C."""
    program = generate(model, "tiny")
    library = compile_library(program, folder, *(flags or ("-O0",)), compiler=compiler)
    return Engine(library, program, len(model.labels))
