"""Layout of the arena: offsets of all buffers; those with disjoint lifetimes overlap.

The stem works column by column and keeps three columns of each convolution; the front end works
frame by frame. Both are done before the blocks begin, so in a clip the blocks' rows take their
place. Offsets are in floats from the arena's start, whole cache lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from aum_edge.errors import ExportError
from aum_edge.export.c.blocks import Block
from aum_edge.export.c.plan import EnginePlan
from aum_edge.export.c.tensors import FLOAT, LIMIT, Packed

LINE = 16
"""Floats of a cache line; also how far a vector may be read beyond the end."""
HEADER = 16
BATCH, BATCH_STORED = 6, 9
"""Time steps that are folded into tokens at once: the rows of a tile, or more where the weights
have to be expanded for each batch."""
FOLD_ROOM_LIMIT, ROOM_LIMIT = 6144, 12288
"""Floats that int8 or half weights of one layer are expanded into at a time: a block's layer whole,
if it can be, since every part costs a pass over its outputs."""


@dataclass(frozen=True)
class FrontEndBuffers:
    """What the front end needs, floats."""

    scratch: int = 0
    stream: int = 0


@dataclass(frozen=True)
class Layout:
    """Offsets by name, and the bytes in all."""

    offsets: dict[str, int]
    bytes: int


def column(plan: EnginePlan) -> int:
    """Floats that the fold sees of one time step."""
    config = plan.config
    inputs = config.stem_channels[1] if config.stem == "conv" else config.time_stride
    return config.rows * inputs


def rings(plan: EnginePlan) -> int:
    """Floats of the columns that the stem's convolutions keep."""
    return sum(3 * (level.height + 2) * level.inputs for level in plan.levels)


def batch(plan: EnginePlan) -> int:
    """Time steps folded at once in a clip."""
    return min(BATCH_STORED if plan.fold.expanded else BATCH, plan.steps)


def fold_buffers(plan: EnginePlan) -> int:
    """Floats for rows of the fold's weight that have to be expanded; 0 if they are floats."""
    return _room([plan.fold], FOLD_ROOM_LIMIT)


def room(plan: EnginePlan) -> int:
    """The same for the blocks and the head, one weight at a time."""
    large = [plan.head]
    for block in plan.blocks:
        large += [block.weights[name] for name in ("in_proj", "out_proj")]
        large += [path[name] for path in block.paths for name in ("x_proj", "dt_proj")]
    return _room(large, ROOM_LIMIT)


def _room(weights: list[Packed], limit: int) -> int:
    stored = [packed for packed in weights if packed.expanded]
    if not stored:
        return 0
    most = max(packed.rows * _whole(packed.cols) for packed in stored)
    return max(min(most, limit), *(_whole(packed.cols) for packed in stored))


def spill(plan: EnginePlan) -> int:
    """Floats that expanding int8 weights may write beyond them: a vector, and half scales."""
    matrices = [plan.fold, plan.head, *(level.weight for level in plan.levels)]
    for block in plan.blocks:
        for weights in (block.weights, *block.paths):
            matrices += weights.values()
    cols = [packed.cols for packed in matrices if packed.scale_kind != FLOAT]
    return LINE + max(cols, default=0)


def small(plan: EnginePlan) -> int:
    """Floats for the small weights that are expanded together."""
    last = plan.last_norm.gain.expanded + plan.last_norm.bias.expanded
    sizes = [last, plan.head_bias.expanded, plan.fold_bias.expanded + plan.band.expanded]
    most = max(sizes + [_small_of(block) for block in plan.blocks])
    return most + spill(plan) if most else 0


def clip_layout(plan: EnginePlan, frontend: FrontEndBuffers) -> Layout:
    """For whole clips: the blocks lie where the stem and the front end were."""
    offsets = _Offsets()
    offsets.add("tokens", plan.tokens * plan.config.d_model)
    _common(offsets, plan)
    start = offsets.end
    _before_blocks(offsets, plan, frontend)
    _stem(offsets, plan, batch(plan))
    if plan.whole_clip:
        offsets.add("features", plan.config.n_mels * plan.config.n_frames)
    after = offsets.end
    offsets.end = start
    _blocks(offsets, plan, plan.tokens)
    return offsets.finish(after)


def stream_layout(plan: EnginePlan, frontend: FrontEndBuffers) -> Layout:
    """For a stream: one token at a time, with all that is kept between two."""
    offsets = _Offsets()
    offsets.add("tokens", plan.config.d_model)
    _common(offsets, plan)
    _stem(offsets, plan, 1)
    offsets.add("kept", sum(block.kept for block in plan.blocks))
    offsets.add("heard", frontend.stream)
    start = offsets.end
    _before_blocks(offsets, plan, frontend)
    after = offsets.end
    offsets.end = start
    _blocks(offsets, plan, 1)
    return offsets.finish(after)


class _Offsets:
    """Offsets given out one after the other."""

    def __init__(self) -> None:
        self.offsets: dict[str, int] = {}
        self.end = HEADER

    def add(self, name: str, count: int) -> None:
        self.offsets[name] = self.end
        self.end += _whole(count)

    def finish(self, other_end: int) -> Layout:
        count = 4 * (_whole(max(self.end, other_end)) + LINE)
        if count > LIMIT:
            raise ExportError(
                f"The arena would take {count:,} bytes, the C engine's offsets have 32 bit: export "
                "a model with fewer tokens."
            )
        return Layout(dict(self.offsets), count)


def _whole(count: int) -> int:
    return -(-count // LINE) * LINE


def _common(offsets: _Offsets, plan: EnginePlan) -> None:
    offsets.add("pool", 3 * plan.config.d_model)
    offsets.add("small", small(plan))


def _before_blocks(offsets: _Offsets, plan: EnginePlan, frontend: FrontEndBuffers) -> None:
    """Nothing is folded while the front end makes a frame: both work in the same place."""
    needed = fold_buffers(plan)
    offsets.add("fold_room", max(needed + spill(plan) if needed else 0, frontend.scratch))
    offsets.offsets["scratch"] = offsets.offsets["fold_room"]


def _stem(offsets: _Offsets, plan: EnginePlan, steps: int) -> None:
    held = sum(level.weight.expanded + level.bias.expanded for level in plan.levels)
    offsets.add("stem", held + spill(plan) if held else 0)
    offsets.add("rings", rings(plan))
    offsets.add("columns", steps * column(plan))


def _blocks(offsets: _Offsets, plan: EnginePlan, length: int) -> None:
    """One block after the other in the same place."""
    config = plan.config
    needed = room(plan)
    offsets.add("room", needed + spill(plan) if needed else 0)
    offsets.add("rows", length * max(b.weights["in_proj"].cols for b in plan.blocks))
    mixed = max(max(block.conv[0], block.d_inner) for block in plan.blocks)
    offsets.add("mixed", length * max(mixed, config.d_model))
    for name, floats in plan.form.buffers(plan.blocks).items():
        offsets.add(name, length * floats)


def _small_of(block: Block) -> int:
    """All small weights of a block, one path of S6 at a time."""
    names = ("gain", "taps", "tap_bias", "bias", "rate", "skip")
    norm = block.norm.gain.expanded + block.norm.bias.expanded
    own = sum(block.weights[name].expanded for name in names if name in block.weights)
    paths = [sum(path[n].expanded for n in names if n in path) for path in block.paths]
    return norm + own + max(paths, default=0)
