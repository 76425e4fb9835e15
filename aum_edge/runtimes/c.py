"""Inference with an exported C file: compiled once and loaded through ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aum_edge.core.text import one_line
from aum_edge.errors import ExportError
from aum_edge.runtimes.c_compiler import Isa, build_library, check_runs_here
from aum_edge.runtimes.c_metadata import PROOF, read_c_metadata
from aum_edge.runtimes.onnx_metadata import FileMetadata

ALIGNMENT = 64
ERRORS = {
    1: "an argument is NULL",
    2: "the arena is misaligned",
    3: "the arena is too small",
    4: "the arena is not initialised",
    5: "the stream is longer than can be counted",
    6: "the stream has no token yet",
}


class CClassifier:
    """Raw log-mel features or samples in, logits out; all arithmetic is the C file's.

    One object is one arena: threads use one each.
    """

    def __init__(self, path: str | Path, isa: Isa = "native") -> None:
        """Compile and load a file that ``export_c`` wrote; its header lies beside it.

        Raises:
            ExportError: If it is missing, not one of ours, or does not compile.
            MissingCompilerError: If there is no compiler.
            RecipeError: If this machine cannot run code for ``isa``.
        """
        check_runs_here(isa)
        self.path = Path(path)
        read = read_c_metadata(self.path)
        self.labels, self.frontend = read.labels, read.frontend
        self.normalization = read.normalization
        self.metadata: dict[str, Any] = read.values
        self.isa = isa
        self.name = _name(self.metadata, self.path)
        self.library_path = _compiled(self.path, self.name, isa)
        _check_counts(read, self.name, self.path)
        started = time.perf_counter()
        self._functions = _loaded(self.library_path, self.path)
        self._arena = self._ready("size", "init")
        self.load_ms = (time.perf_counter() - started) * 1e3
        self._run_features = self.function("run_features")
        self._run_samples = self.function("run")

    @property
    def arena_bytes(self) -> int:
        """Bytes of working memory."""
        return int(self._arena.nbytes)

    @property
    def streams(self) -> bool:
        """Whether it can run on streams, see :class:`~aum_edge.runtimes.c_stream.CStream`."""
        return hasattr(self._functions, f"{self.name}_stream_init")

    @property
    def verified(self) -> bool:
        """Whether the export was compared with torch when it was written."""
        return self.metadata.get(PROOF) == "verified"

    def logits(self, features: np.ndarray | Tensor) -> Tensor:
        """Features (B, 1, n_mels, n_frames), not normalised, to logits (B, n_classes) float32.

        Raises:
            ExportError: If the features have another shape.
        """
        array = features.detach().cpu().numpy() if isinstance(features, Tensor) else features
        wanted = (1, self.frontend.n_mels, self.frontend.n_frames)
        if array.ndim != 4 or array.shape[1:] != wanted:
            raise ExportError(
                f"{self.path.name} takes features (batch, {', '.join(map(str, wanted))}), "
                f"got {array.shape}: make them with the front end that it names."
            )
        return torch.from_numpy(self.run(np.ascontiguousarray(array, dtype=np.float32)))

    def run(self, features: np.ndarray) -> np.ndarray:
        """The same on a contiguous float32 array, unchecked: what the benchmark times."""
        return self._each(self._run_features, features)

    def waveform_logits(self, samples: np.ndarray | Tensor) -> Tensor:
        """Clips (B, clip_samples) at the front end's rate to logits (B, n_classes) float32.

        A channel of one, (B, 1, clip_samples) as a corpus has them, is taken too.

        Raises:
            ExportError: If the clips have another length.
        """
        array = samples.detach().cpu().numpy() if isinstance(samples, Tensor) else samples
        if array.ndim == 3 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 2 or array.shape[1] != self.frontend.clip_samples:
            raise ExportError(
                f"{self.path.name} takes clips (batch, {self.frontend.clip_samples}) at "
                f"{self.frontend.sample_rate} Hz, got {array.shape}."
            )
        clips = np.ascontiguousarray(array, dtype=np.float32)
        return torch.from_numpy(self._each(self._run_samples, clips))

    def describe(self) -> dict[str, Any]:
        """The file in numbers: ``{file, bytes, sha256, load_ms, arena_bytes, verified, isa}``."""
        data = self.path.read_bytes()
        return {
            "file": self.path.name,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "load_ms": self.load_ms,
            "arena_bytes": self.arena_bytes,
            "verified": self.verified,
            "isa": self.isa,
        }

    def _each(self, call: Any, clips: np.ndarray) -> np.ndarray:
        logits = np.empty((len(clips), len(self.labels)), np.float32)
        for clip, row in zip(clips, logits, strict=True):
            self.checked(call(self._arena.ctypes.data, clip.ctypes.data, row.ctypes.data))
        return logits

    def _ready(self, size: str, init: str) -> np.ndarray:
        """An arena, aligned to a cache line, that the program has accepted."""
        query = self.function(size, arguments=0)
        query.restype = ctypes.c_size_t
        arena = aligned(query())
        begin = self.function(init)
        begin.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.checked(begin(arena.ctypes.data, arena.nbytes))
        return arena

    def function(self, name: str, arguments: int = 3) -> Any:
        """The C function PREFIX_name of this many pointers, returning an int."""
        try:
            found = getattr(self._functions, f"{self.name}_{name}")
        except AttributeError as error:
            raise ExportError(
                f"{self.path} has no function {self.name}_{name}: export the model again."
            ) from error
        found.restype, found.argtypes = ctypes.c_int, [ctypes.c_void_p] * arguments
        return found

    def checked(self, code: int) -> None:
        """Raise what an error code means."""
        if code:
            reason = ERRORS.get(code, f"error {code}")
            raise ExportError(f"{self.path.name} refused its input: {reason}.")


def aligned(size: int) -> np.ndarray:
    """Bytes (size,) that begin on a cache line."""
    whole = np.zeros(size + ALIGNMENT, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT
    return whole[start : start + size]


def _loaded(library: Path, path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise ExportError(
            f"{path} was compiled but cannot be loaded ({one_line(error, 150)}): "
            f"keep the files of one export together, or delete {library}."
        ) from error


def _name(values: dict[str, Any], path: Path) -> str:
    name = values.get("c.name")
    if not isinstance(name, str) or not name.isidentifier():
        raise ExportError(f"{path} does not name its functions (c.name): export it again.")
    return name


def _compiled(path: Path, name: str, isa: Isa) -> Path:
    header, weights = path.with_name(f"{name}.h"), path.with_name(f"{path.stem}_weights.c")
    if not header.is_file():
        raise ExportError(f"{header.name} is missing beside {path}: keep the two together.")
    # Left by an earlier export, the array file is none of this one's.
    outside = re.findall(r"^extern const \w+ (\w+)\[", _text(path), re.MULTILINE)
    if outside and not weights.is_file():
        raise ExportError(
            f"{weights.name} is missing beside {path}: keep the files of one export together."
        )
    if any(f" {array}[" not in _text(weights) for array in outside):
        raise ExportError(
            f"{weights.name} beside {path} holds the weights of another export: keep the files of "
            "one export together."
        )
    return build_library([path, *[weights] * bool(outside)], [header], isa)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"Cannot read {path} ({error}).") from error


def _check_counts(read: FileMetadata, name: str, path: Path) -> None:
    """Compare the array sizes in the comment, which Python uses, with those of the header.

    Raises:
        ExportError: If they differ: the program would write beyond what it is given.
    """
    stated = {
        "CLASSES": len(read.labels),
        "MELS": read.frontend.n_mels,
        "FRAMES": read.frontend.n_frames,
        "CLIP_SAMPLES": read.frontend.clip_samples,
    }
    header = _text(path.with_name(f"{name}.h"))
    for key, value in stated.items():
        if f"#define {name.upper()}_{key} {value}\n" not in header:
            raise ExportError(
                f"{path} says {key} {value} in its comment, {name}.h does not: export it again."
            )
