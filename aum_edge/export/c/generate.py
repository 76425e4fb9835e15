"""A student as the text of a C file, its header and, if wished, an array file of its weights.

The network's code is fixed text (``csrc``) around tables made here: sizes, where each weight lies,
where everything goes in the arena. Nothing depends on time, place or machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from aum_edge.export.c.arena import (
    FrontEndBuffers,
    Layout,
    batch,
    clip_layout,
    column,
    fold_buffers,
    rings,
    room,
    stream_layout,
)
from aum_edge.export.c.arrays import array_name, declarations, definitions, kinds_of
from aum_edge.export.c.blocks import block_table, number
from aum_edge.export.c.frontend.source import Entry, front_end
from aum_edge.export.c.header import ALIGNMENT, fits_check, header, named
from aum_edge.export.c.plan import EnginePlan, plan
from aum_edge.export.c.tensors import FLOAT, HALF, INT8
from aum_edge.export.c.tiles import gemm_source, piece
from aum_edge.models.classifier import AudioClassifier
from aum_edge.runtimes.c_metadata import comment
from aum_edge.runtimes.onnx_metadata import describe_model

TITLE = """\
/* @PREFIX@: an audio classifier as one C99 file. No allocation, no library beyond memcpy and its
   like, no state outside the caller's arena.
   Build: cc -std=c99 -O2, and -march=native or the like for vector instructions. */"""
PROLOGUE = """\
#include <stdint.h>
#include <string.h>

#include "@PREFIX@.h"

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
#define OUTLINE static __attribute__((noinline, unused))
#else
#define INLINE static inline
#define OUTLINE static
#endif
#if defined(__cplusplus)
#define RESTRICT
#else
#define RESTRICT restrict
#endif
#if defined(AUM_STAGE)
#define STAGE(i) AUM_STAGE(i);
#else
#define STAGE(i)
#endif
"""
OPEN = """\
#if defined(__cplusplus)
/* Two models in one C++ program have types of the same name. */
namespace {
#endif
"""
CLOSE = """\
#if defined(__cplusplus)
}
#endif
"""
STAGES = (
    "INPUT FRONT_END CONV_1 CONV_2 DEPTHWISE FOLD NORM IN_PROJ CONV X_PROJ SCAN GATE OUT_PROJ HEAD"
).split()
"""Numbers that AUM_STAGE(i) gets at the end of each part; for measurements."""
POOLING = {"mean": 0, "max": 1, "mean-max": 2, "last": 3}
PLACES = ("tokens", "pool", "rings", "stem", "columns", "rows", "mixed", "decay", "y", "parts")
MORE_PLACES = ("step", "room", "fold_room", "small", "features", "scratch", "heard", "kept")


@dataclass(frozen=True)
class Program:
    """A student as C: texts by file, and its sizes in bytes."""

    name: str
    header: str
    source: str
    weights: str | None
    arena_bytes: int
    stream_bytes: int | None
    weight_bytes: int
    table_bytes: int
    """Constants of the front end."""


def generate(model: AudioClassifier, name: str, separate_weights: bool = False) -> Program:
    """Write a student as C.

    Args:
        model: A student, float or quantized.
        name: Prefix of all public names, a C identifier.
        separate_weights: Give the arrays in a text of their own.

    Raises:
        UnsupportedOperatorError: If the engine lacks an operator of the model; it is named.
        ExportError: If a weight is not finite, the weights are too large for 32 bit offsets, or
            the front end does not suit.
    """
    made = plan(model)
    entries: tuple[Entry, ...] = ("frame", "stream", "end") if made.streams else ("frame",)
    frontend = front_end(made.model.frontend, ("clip",) if made.whole_clip else entries)
    space = FrontEndBuffers(frontend.scratch_floats, frontend.stream_floats)
    clip = clip_layout(made, space)
    stream = stream_layout(made, space) if made.streams else None
    sizes = {"ALIGNMENT": ALIGNMENT, "ARENA_BYTES": clip.bytes}
    if stream:
        sizes["STREAM_BYTES"] = stream.bytes
    arrays_of = f"{name}_{_tag(made)}" if separate_weights else name
    weights, arrays = _weights(made, name, arrays_of, separate_weights)
    about = comment(describe_model(model, {"c.name": name}))
    parts = [TITLE, PROLOGUE, fits_check(made, sizes), _defines(made, arrays_of), arrays]
    parts += [piece("vectors.c"), OPEN, frontend.source, *_network(made), CLOSE]
    parts += _entries(clip, stream)
    return Program(
        name=name,
        header=header(made, name, sizes),
        source=about + named("\n".join(part for part in parts if part), name),
        weights=weights,
        arena_bytes=clip.bytes,
        stream_bytes=stream.bytes if stream else None,
        weight_bytes=made.weights.bytes,
        table_bytes=frontend.tables_bytes,
    )


def _tag(plan: EnginePlan) -> str:
    """Of the weights' values: a source then does not link with the arrays of another export."""
    digest = hashlib.sha256()
    for kind in kinds_of(plan.weights):
        digest.update(plan.weights.array(kind).tobytes())
    return digest.hexdigest()[:8]


def _weights(plan: EnginePlan, name: str, arrays_of: str, separate: bool) -> tuple[str | None, str]:
    """The array file, if there is one, and what the source says of the arrays."""
    if not separate:
        return None, definitions(plan.weights, arrays_of, "static ")
    extern = declarations(plan.weights, arrays_of)
    text = f"/* Weights of {name}. */\n#include <stdint.h>\n\n" + (
        f'#ifdef __cplusplus\nextern "C" {{\n#endif\n{extern}#ifdef __cplusplus\n}}\n#endif\n\n'
        f"{definitions(plan.weights, arrays_of, '')}"
    )
    linked = f'#ifdef __cplusplus\nextern "C" {{\n#endif\n{extern}#ifdef __cplusplus\n}}\n#endif\n'
    return text, linked


def _defines(plan: EnginePlan, arrays_of: str) -> str:
    """Sizes as macros, and what the arrays are called."""
    config, normalization = plan.config, plan.model.normalization
    conv = config.stem == "conv"
    kinds = kinds_of(plan.weights)
    ahead = config.time_stride - 1
    height = config.rows // config.frequency_groups
    values: dict[str, object] = {
        "HAS_HALF": int(HALF in kinds),
        "HAS_INT8": int(INT8 in kinds),
        "STREAM": int(plan.streams),
        "WHOLE_CLIP": int(plan.whole_clip),
        "LAYER_NORM": int(config.norm == "layer"),
        "MELS": config.n_mels,
        "FRAMES": config.n_frames,
        "MEAN": number(normalization.mean),
        "GAIN": number(1 / normalization.scale),
        "WIDTH": config.d_model,
        "DEPTH": config.depth,
        "CLASSES": config.n_classes,
        "POOLING": POOLING[config.pooling],
        "TOKENS": plan.tokens,
        "GROUPS": config.frequency_groups,
        "TIME_STRIDE": config.time_stride,
        "CONV_STEM": int(conv),
        "AHEAD": int(config.bidirectional),
        "REACH": ahead // 2 if config.bidirectional else ahead,
        "SEGMENTS": 1 if conv else config.time_stride,
        "GROUP_ROWS": height * (config.stem_channels[1] if conv else 1),
        "COLUMN": column(plan),
        "RINGS": rings(plan),
        "BATCH": batch(plan),
        "FOLD_ROOM": max(1, fold_buffers(plan)),
        "ROOM": max(1, room(plan)),
        "HEAD": config.head_dim,
    }
    lines = [f"#define {key} {value}" for key, value in values.items()]
    stages = ", ".join(f"STAGE_{stage}" for stage in STAGES)
    return "\n".join([*lines, *_array_names(kinds, arrays_of), f"enum {{ {stages} }};\n"])


def _array_names(kinds: list[int], name: str) -> list[str]:
    """What the engine calls the arrays of the types that occur."""
    words = {FLOAT: "FLOAT", HALF: "HALF", INT8: "INT8"}
    return [f"#define WEIGHTS_{words[kind]} {array_name(name, kind)}" for kind in kinds]


def _network(plan: EnginePlan) -> list[str]:
    fold = piece("fold.c").replace("@FOLD@", plan.fold.initializer())
    fold = fold.replace("@FOLD_BIAS@", plan.fold_bias.initializer())
    fold = fold.replace("@BAND@", plan.band.initializer())
    pool = piece("pool.c").replace("@LAST_NORM@", plan.last_norm.initializer())
    pool = pool.replace("@HEAD_WEIGHT@", plan.head.initializer())
    pool = pool.replace("@HEAD_BIAS@", plan.head_bias.initializer())
    return [
        piece("functions.c"),
        piece("softplus.c") if plan.form.scans else "",
        piece("tensors.c"),
        piece("types.c"),
        gemm_source(),
        piece("helpers.c"),
        piece("norms.c"),
        piece("conv.c"),
        piece("gate.c"),
        plan.form.scan_text,
        block_table(plan.form, plan.blocks, plan.config),
        plan.form.text,
        fold,
        _stem(plan),
        pool,
    ]


def _stem(plan: EnginePlan) -> str:
    if not plan.levels:
        return piece("stem_patch.c")
    rows, ring = [], 0
    for level in plan.levels:
        sizes = (level.inputs, level.outputs, level.height, level.made, level.step, ring)
        values = [*map(str, sizes), level.weight.initializer(), level.bias.initializer()]
        rows.append("    {" + ", ".join(values) + "}")
        ring += 3 * (level.height + 2) * level.inputs
    return piece("stem_conv.c").replace("@LEVELS@", ",\n".join(rows))


def _entries(clip: Layout, stream: Layout | None) -> list[str]:
    parts = [piece("entry.c").replace("@CLIP_PLACES@", _places(clip))]
    if stream:
        parts.append(piece("entry_stream.c").replace("@STREAM_PLACES@", _places(stream)))
    return parts


def _places(layout: Layout) -> str:
    lines = []
    for name in PLACES + MORE_PLACES:
        at = layout.offsets.get(name)
        lines.append(f"    w->{name} = " + (f"base + {at};" if at is not None else "NULL;"))
    return "\n".join(lines)
