"""The generated front end as a library that the tests call."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aum_edge.audio.config import FrontEndConfig
from aum_edge.export.c.frontend.source import CFrontEnd, Entry, front_end
from aum_edge.runtimes.c_compiler import Isa, MissingCompilerError, find_compiler, flags

PROLOGUE = """
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define INLINE static inline
"""
CALLS = {
    "frame": """
void run(const float *samples, float *features, float *scratch)
{
    int32_t frame, k;
    for (frame = 0; frame < FE_FRAMES; frame++) {
        float mels[FE_MELS];
        fe_frame(samples, frame, mels, scratch);
        for (k = 0; k < FE_MELS; k++)
            features[k * FE_FRAMES + frame] = mels[k];
    }
}
""",
    "clip": """
void run(const float *samples, float *features, float *scratch)
{
    fe_clip(samples, features, scratch);
}
""",
    "stream": """
size_t state_bytes(void) { return sizeof(fe_stream); }
void begin(fe_stream *state) { fe_begin(state); }
size_t push(fe_stream *state, const float *samples, size_t count, float *mels, float *scratch,
            int *ready)
{
    return fe_push(state, samples, count, mels, scratch, ready);
}
""",
    "end": """
int end(fe_stream *state, float *mels, float *scratch) { return fe_end(state, mels, scratch); }
""",
    "log": "void logs(float *x, int32_t n) { while (n--) { *x = fe_log(*x); x++; } }\n",
    "root": "void roots(float *x, int32_t n) { while (n--) { *x = fe_root(*x); x++; } }\n",
}
EXTERN = {
    "frame": "void run(const float *, float *, float *);",
    "clip": "void run(const float *, float *, float *);",
    "stream": "size_t state_bytes(void); void begin(fe_stream *); size_t push(fe_stream *, "
    "const float *, size_t, float *, float *, int *);",
    "end": "int end(fe_stream *, float *, float *);",
    "log": "void logs(float *, int32_t);",
    "root": "void roots(float *, int32_t);",
}


def need_compiler() -> None:
    """Skip where there is no C compiler."""
    try:
        find_compiler()
    except MissingCompilerError as error:
        pytest.skip(str(error))


def source(made: CFrontEnd, entries: tuple[str, ...]) -> str:
    """A whole C file around a front end."""
    declared = [EXTERN[name] for name in entries]
    return "\n".join([PROLOGUE, made.source, *declared, *(CALLS[name] for name in entries)])


@dataclass
class Program:
    """A front end compiled for this machine; buffers begin as NaN, so none is read unset."""

    config: FrontEndConfig
    made: CFrontEnd
    library: Any

    def features(self, samples: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(samples, dtype=np.float32)
        assert x.shape == (self.config.clip_samples,)
        out = np.full((self.config.n_mels, self.config.n_frames), np.nan, np.float32)
        self.library.run(pointer(x), pointer(out), pointer(self.scratch()))
        return out

    def stream(self, samples: np.ndarray, size: int) -> tuple[np.ndarray, list[int]]:
        """Frames (n_mels, k) of samples in pieces, and how many each piece completed."""
        library, x = self.library, np.ascontiguousarray(samples, dtype=np.float32)
        library.push.restype = library.state_bytes.restype = ctypes.c_size_t
        assert library.state_bytes() == 4 * self.made.stream_floats
        state, scratch = np.full(self.made.stream_floats, np.nan, np.float32), self.scratch()
        mels, ready = np.empty(self.config.n_mels, np.float32), ctypes.c_int()
        library.begin(pointer(state))
        frames, counts = [], []
        for start in range(0, len(x), size):
            piece, before = x[start : start + size], len(frames)
            while True:
                taken = library.push(
                    pointer(state), pointer(piece), ctypes.c_size_t(len(piece)),
                    pointer(mels), pointer(scratch), ctypes.byref(ready),
                )  # fmt: skip
                piece = piece[taken:]
                if ready.value:
                    frames.append(mels.copy())
                elif not len(piece):
                    break
            counts.append(len(frames) - before)
        while library.end(pointer(state), pointer(mels), pointer(scratch)):
            frames.append(mels.copy())
        return np.stack([*frames], 1) if frames else np.zeros((self.config.n_mels, 0)), counts

    def scratch(self) -> np.ndarray:
        return np.full(self.made.scratch_floats, np.nan, np.float32)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def build(
    config: FrontEndConfig, entries: tuple[str, ...], folder: Path, isa: Isa = "native"
) -> Program:
    """Compile a front end; ``log`` and ``root`` beside the entries call its own functions."""
    need_compiler()
    own: tuple[Entry, ...] = tuple(n for n in entries if n not in ("log", "root"))  # type: ignore[misc]
    made = front_end(config, own)
    written, out = folder / "front.c", folder / "front.so"
    written.write_text(source(made, entries))
    command = [*find_compiler().command, *flags(isa), "-shared", "-fPIC"]
    subprocess.run([*command, str(written), "-o", str(out)], check=True)
    return Program(config, made, ctypes.CDLL(str(out)))
