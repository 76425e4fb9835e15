"""The table of blocks: their sizes and weights as C initializers."""

from __future__ import annotations

from aum_edge.export.c.plan import Block, EnginePlan, number
from aum_edge.export.c.tensors import Packed

TYPES = {
    "ssd": """\
typedef struct {
    tensor_t in_proj, out_proj, gain, taps, tap_bias, bias, rate, skip;
    norm_tensors_t norm;
    conv_t conv;
    float eps;
    int32_t inner, states, kept;
    int32_t ways, backward, sets; /* backward: the only way runs from the end */
} block_t;
""",
    "s6": """\
typedef struct {
    tensor_t taps, tap_bias, x_proj, dt_proj, bias, rate, skip;
    int32_t ways, backward, first;
} path_t;

typedef struct {
    tensor_t in_proj, out_proj, gain;
    path_t path[2];
    norm_tensors_t norm;
    conv_t conv;
    float eps, scan_share, skip_share;
    int32_t inner, states, kept, paths;
} block_t;
""",
    "none": """\
typedef struct {
    tensor_t in_proj, out_proj, gain, taps, tap_bias;
    norm_tensors_t norm;
    conv_t conv;
    float eps;
    int32_t inner, kept;
} block_t;
""",
}
NAMES = {
    "ssd": ("in_proj", "out_proj", "gain", "taps", "tap_bias", "bias", "rate", "skip"),
    "s6": ("in_proj", "out_proj", "gain"),
    "none": ("in_proj", "out_proj", "gain", "taps", "tap_bias"),
}
PATH = ("taps", "tap_bias", "x_proj", "dt_proj", "bias", "rate", "skip")
NO_PATH = "{" + ", ".join([Packed().initializer()] * len(PATH)) + ", 0, 0, 0}"


def block_table(plan: EnginePlan) -> str:
    """Type and table of the blocks."""
    rows = ",\n".join(_row(block, plan) for block in plan.blocks)
    return f"{TYPES[plan.config.mixer]}\nstatic const block_t BLOCKS[DEPTH] = {{\n{rows}\n}};\n"


def _row(block: Block, plan: EnginePlan) -> str:
    mixer = plan.config.mixer
    parts = [block.weights[name].initializer() for name in NAMES[mixer]]
    conv = "{" + ", ".join(map(str, block.conv)) + "}"
    common = [block.norm.initializer(), conv, number(block.eps)]
    if mixer == "s6":
        paths = [_path(block, index, plan) for index in range(len(block.paths))]
        parts.append("{" + ",\n      ".join([*paths, NO_PATH][:2]) + "}")
        scan_share = 0.5 if plan.config.bidirectional else 1.0
        skip_share = 0.5 if plan.config.sharing == "separate" else 1.0
        common += [number(scan_share), number(skip_share)]
        sizes = [block.inner, block.states, block.kept, len(block.paths)]
    elif mixer == "ssd":
        sizes = [block.inner, block.states, block.kept]
        sizes += [len(block.ways), int(block.ways == (True,)), block.sets]
    else:
        sizes = [block.inner, block.kept]
    return "    {" + ",\n     ".join([*parts, *common, ", ".join(map(str, sizes))]) + "}"


def _path(block: Block, index: int, plan: EnginePlan) -> str:
    separate = plan.config.sharing == "separate"
    ways = block.ways[index : index + 1] if separate else block.ways
    values = [block.paths[index][name].initializer() for name in PATH]
    numbers = [len(ways), int(ways == (True,)), int(index == 0)]
    return "{" + ", ".join([*values, *map(str, numbers)]) + "}"
