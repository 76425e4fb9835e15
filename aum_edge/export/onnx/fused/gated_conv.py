"""ONNX form of the gated convolution."""

from __future__ import annotations

from aum_edge.export.onnx.forms import register_onnx_form
from aum_edge.export.onnx.fused.flat_conv import Tokens, replace_convolutions
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer


@register_onnx_form(GatedConvMixer)
def fuse_gated_conv(mixer: GatedConvMixer) -> None:
    """Its own forward pass with a flat convolution."""
    replace_convolutions(mixer, Tokens.SECOND)
