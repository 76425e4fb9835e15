"""The header: what a program that calls the engine has to know."""

from __future__ import annotations

import aum_edge
from aum_edge.audio.config import FrontEndConfig
from aum_edge.export.c.blocks import number
from aum_edge.export.c.plan import EnginePlan

ALIGNMENT = 16
CLIP = """\
/* Whole clips: give an arena of @NAME@_ARENA_BYTES, aligned to @NAME@_ALIGNMENT (64 is fastest),
   to @PREFIX@_init once, then run as many clips as you like. Different threads use different
   arenas. Functions return @NAME@_OK or another @PREFIX@_error. */
size_t @PREFIX@_size(void);
int @PREFIX@_init(void *arena, size_t bytes);
/* samples [@NAME@_CLIP_SAMPLES] at @NAME@_SAMPLE_RATE, within -1 .. 1, to logits
   [@NAME@_CLASSES]. */
int @PREFIX@_run(void *arena, const float *samples, float *logits);
/* The same from log-mel features [@NAME@_MELS][@NAME@_FRAMES], not normalised. */
int @PREFIX@_run_features(void *arena, const float *features, float *logits);
"""
STREAM = """\
/* Streams: an arena of @NAME@_STREAM_BYTES. The result, logits [@NAME@_CLASSES] of all that was
   heard, may be asked for at any time once the first token is there (else @NAME@_NOT_READY). */
size_t @PREFIX@_stream_size(void);
int @PREFIX@_stream_init(void *arena, size_t bytes);
/* Any number of samples at @NAME@_SAMPLE_RATE. */
int @PREFIX@_push(void *arena, const float *samples, size_t count);
/* The stream is over: hear the frames that reach beyond its last sample, as a whole clip has them.
   Begin again with @PREFIX@_stream_init. */
int @PREFIX@_end(void *arena);
/* In place of samples: the log-mel features of one frame [@NAME@_MELS], not normalised. */
int @PREFIX@_push_features(void *arena, const float *mels);
int @PREFIX@_result(void *arena, float *logits);
"""
ERRORS = """\
typedef enum {
    @NAME@_OK = 0,
    @NAME@_NULL_POINTER = 1,    /* an argument is NULL */
    @NAME@_MISALIGNED = 2,      /* the arena is not aligned to @NAME@_ALIGNMENT */
    @NAME@_TOO_SMALL = 3,       /* the arena has too few bytes */
    @NAME@_NOT_INITIALISED = 4, /* the arena was not made ready for this function */
    @NAME@_BAD_COUNT = 5,       /* the stream is longer than can be counted */
    @NAME@_NOT_READY = 6        /* the stream has no token yet */
} @PREFIX@_error;
"""


def header(plan: EnginePlan, prefix: str, sizes: dict[str, int]) -> str:
    """The text of NAME.h; ``sizes`` are the constants that the layout gives."""
    guard = f"{prefix.upper()}_H"
    values = {"CLASSES": plan.config.n_classes, **_front_end(plan.model.frontend), **sizes}
    defines = "".join(f"#define @NAME@_{name} {value}\n" for name, value in values.items())
    labels = ", ".join(c_text(label) for label in plan.model.labels)
    parts = [
        f"/* {prefix}: written by aum-edge {aum_edge.__version__}. */",
        f"#ifndef {guard}\n#define {guard}\n\n#include <stddef.h>\n",
        f"{defines}#define @NAME@_LABELS {{{labels}}}",
        f'#define @NAME@_ACTIVATION "{plan.model.activation}"\n',
        f"{ERRORS}",
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        CLIP,
    ]
    if plan.streams:
        parts.append(STREAM)
    parts.append("#ifdef __cplusplus\n}\n#endif\n\n#endif\n")
    return named("\n".join(parts), prefix)


def fits_check(plan: EnginePlan, sizes: dict[str, int]) -> str:
    """Lines of the source that refuse another export's header, whose arena may be too small."""
    front = _front_end(plan.model.frontend)
    counts = ("MELS", "FRAMES", "SAMPLE_RATE", "CLIP_SAMPLES")
    values = {"CLASSES": plan.config.n_classes, **{key: front[key] for key in counts}, **sizes}
    lines = [f"@NAME@_{key} != {value}" for key, value in values.items()]
    text = " || \\\n    ".join(lines)
    said = "@PREFIX@.h is of another export: keep the files of one together"
    return f'#if {text}\n#error "{said}"\n#endif\n'


def named(text: str, prefix: str) -> str:
    """Put a model's names into a template."""
    return text.replace("@PREFIX@", prefix).replace("@NAME@", prefix.upper())


def c_text(text: str) -> str:
    """A C string literal; what is not plain ASCII becomes octal escapes of its UTF-8 bytes."""
    plain = {ord(" ") + i for i in range(95)} - {ord('"'), ord("\\"), ord("?")}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'


def _front_end(frontend: FrontEndConfig) -> dict[str, str | int]:
    return {
        "MELS": frontend.n_mels,
        "FRAMES": frontend.n_frames,
        "SAMPLE_RATE": frontend.sample_rate,
        "CLIP_SAMPLES": frontend.clip_samples,
        "FFT": frontend.n_fft,
        "WINDOW": frontend.win_length,
        "HOP": frontend.hop_length,
        "LOG_OFFSET": number(frontend.log_offset),
    }
