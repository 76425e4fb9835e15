"""C form of SSD: a scan with one decay a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from aum_edge.export.c.blocks import (
    Block,
    MixerForm,
    Norm,
    conv_sizes,
    register_c_form,
    shared_weights,
    taps,
)
from aum_edge.export.c.tensors import Weights
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.ssd import SSDMixer


@register_c_form(SSDMixer)
class SSDForm(MixerForm):
    """block_ssd.c and scan_ssd.c."""

    name: ClassVar[str] = "ssd"
    tensors: ClassVar[tuple[str, ...]] = (
        "in_proj",
        "out_proj",
        "gain",
        "taps",
        "tap_bias",
        "bias",
        "rate",
        "skip",
    )
    types: ClassVar[str] = """\
typedef struct {
    tensor_t in_proj, out_proj, gain, taps, tap_bias, bias, rate, skip;
    norm_tensors_t norm;
    conv_t conv;
    float eps;
    int32_t inner, states, kept;
    int32_t ways, backward, sets; /* backward: the only way runs from the end */
} block_t;
"""

    def block(self, mixer: SSDMixer, inside: str, norm: Norm, w: Weights) -> Block:
        """Both directions' steps and rates lie in one row."""
        weights = shared_weights(inside, w) | taps(inside, w)
        weights |= {
            "bias": w.vector(f"{inside}dt_bias"),
            "rate": w.rates(f"{inside}A_log", turned=False),
            "skip": w.vector(f"{inside}D"),
        }
        return Block(
            d_inner=mixer.d_inner,
            d_state=mixer.d_state,
            ways=mixer.reversals,
            conv=conv_sizes(mixer.conv1d, weights["taps"].cols),
            eps=mixer.norm.eps,
            norm=norm,
            weights=weights,
            sets=mixer.sets,
        )

    def numbers(self, block: Block, config: MambaStudentConfig) -> list[str]:
        """Sizes and directions."""
        sizes = (block.d_inner, block.d_state, block.kept)
        directions = (len(block.ways), int(block.ways == (True,)), block.sets)
        return [", ".join(map(str, sizes + directions))]

    def buffers(self, blocks: Sequence[Block]) -> Mapping[str, int]:
        """Decays of all heads and directions."""
        return {"decay": max(block.weights["bias"].cols for block in blocks)}
