"""C form of S6: a selective scan, with one path or one for each direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from aum_edge.export.c.blocks import (
    Block,
    MixerForm,
    Norm,
    conv_sizes,
    number,
    register_c_form,
    shared_weights,
    taps,
)
from aum_edge.export.c.tensors import Packed, Weights
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.s6 import S6Mixer

PATH = ("taps", "tap_bias", "x_proj", "dt_proj", "bias", "rate", "skip")
"""Weights in the order of ``path_t``."""
NO_PATH = "{" + ", ".join([Packed().initializer()] * len(PATH)) + ", 0, 0, 0}"


@register_c_form(S6Mixer)
class S6Form(MixerForm):
    """block_s6.c and scan_s6.c."""

    name: ClassVar[str] = "s6"
    tensors: ClassVar[tuple[str, ...]] = ("in_proj", "out_proj", "gain")
    types: ClassVar[str] = """\
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
"""

    def block(self, mixer: S6Mixer, inside: str, norm: Norm, w: Weights) -> Block:
        """What is shared, and what each path has for itself."""
        weights = shared_weights(inside, w)
        conv = mixer.get_submodule(f"conv1d{mixer.paths[0]}")
        return Block(
            d_inner=mixer.d_inner,
            d_state=mixer.d_state,
            ways=mixer.reversals,
            conv=conv_sizes(conv, weights["gain"].cols),
            eps=mixer.norm.eps,
            norm=norm,
            weights=weights,
            paths=[_path(inside, ending, w) for ending in mixer.paths],
        )

    def arrays(self, block: Block, config: MambaStudentConfig) -> list[str]:
        """Both paths; the second may be empty."""
        paths = [_initializer(block, index, config) for index in range(len(block.paths))]
        return ["{" + ",\n      ".join([*paths, NO_PATH][:2]) + "}"]

    def numbers(self, block: Block, config: MambaStudentConfig) -> list[str]:
        """How scans and skips are weighed, and sizes."""
        scan_share = 0.5 if config.bidirectional else 1.0
        skip_share = 0.5 if config.sharing == "separate" else 1.0
        sizes = (block.d_inner, block.d_state, block.kept, len(block.paths))
        return [number(scan_share), number(skip_share), ", ".join(map(str, sizes))]

    def buffers(self, blocks: Sequence[Block]) -> Mapping[str, int]:
        """Rows of x_proj, step sizes and the scan's output."""
        d_inner = max(block.d_inner for block in blocks)
        parts = max(path["x_proj"].cols for block in blocks for path in block.paths)
        return {"parts": parts, "step": d_inner, "y": d_inner}


def _path(inside: str, ending: str, w: Weights) -> dict[str, Packed]:
    """What one path has for itself."""
    return taps(inside, w, ending) | {
        "x_proj": w.matrix(f"{inside}x_proj{ending}.weight"),
        "dt_proj": w.matrix(f"{inside}dt_proj{ending}.weight"),
        "bias": w.vector(f"{inside}dt_proj{ending}.bias"),
        "rate": w.rates(f"{inside}A{ending}_log", turned=True),
        "skip": w.vector(f"{inside}D{ending}"),
    }


def _initializer(block: Block, index: int, config: MambaStudentConfig) -> str:
    """The C initializer of a ``path_t``."""
    separate = config.sharing == "separate"
    directions = block.ways[index : index + 1] if separate else block.ways
    values = [block.paths[index][name].initializer() for name in PATH]
    numbers = [len(directions), int(directions == (True,)), int(index == 0)]
    return "{" + ", ".join([*values, *map(str, numbers)]) + "}"
