"""C form of the gated convolution."""

from __future__ import annotations

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
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer


@register_c_form(GatedConvMixer)
class GatedConvForm(MixerForm):
    """block_none.c."""

    name: ClassVar[str] = "none"
    scans: ClassVar[bool] = False
    tensors: ClassVar[tuple[str, ...]] = ("in_proj", "out_proj", "gain", "taps", "tap_bias")
    types: ClassVar[str] = """\
typedef struct {
    tensor_t in_proj, out_proj, gain, taps, tap_bias;
    norm_tensors_t norm;
    conv_t conv;
    float eps;
    int32_t inner, kept;
} block_t;
"""

    def block(self, mixer: GatedConvMixer, inside: str, norm: Norm, w: Weights) -> Block:
        """Nothing but the convolution."""
        weights = shared_weights(inside, w) | taps(inside, w)
        return Block(
            d_inner=mixer.d_inner,
            conv=conv_sizes(mixer.conv1d, weights["taps"].cols),
            eps=mixer.norm.eps,
            norm=norm,
            weights=weights,
        )

    def numbers(self, block: Block, config: MambaStudentConfig) -> list[str]:
        """Inner channels and what a stream keeps."""
        return [f"{block.d_inner}, {block.kept}"]
