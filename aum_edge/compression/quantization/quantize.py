"""int8 weights for every convolution and linear layer; the scan and the rest stay float.

Why our own and neither nncf nor torchao (nncf 3.4, torchao 0.18, torch 2.13, one thread, a pruned
student of 52,188 weights, 450 test clips of the built-in corpus, float accuracy 72.4 %; "agree" is
the share of clips with the float model's prediction):

==============================  ========  ======  ==============================================
weights and inputs in 8 bit     accuracy  agree   remarks
==============================  ========  ======  ==============================================
nncf, every operator            71.3      94.0    58 s the first time: C++ is compiled; then 9 s
nncf, projections alone         70.7      95.8    by naming each operator type that is left out
nncf through torch.fx           71.3      94.9    experimental by its own words
torchao pt2e, x86               72.0      98.2    4 s; a graph of the exported program
here                            71.6      98.0    0.3 s
here, ``keep_float: auto``      72.2      99.6    4 s; 72 bytes more
weights alone
torchao int8                    72.2      99.8    linear layers alone, convolutions stay float
here                            71.6      98.9    convolutions too
==============================  ========  ======  ==============================================

nncf's torch path does run on a quiet machine; the time-out of earlier trials was its compiler's.
It rounds decay, exp and state unless each operator is named, and a step of its QAT takes 4.2
times that of the float model (here 1.05 times, with inputs 1.4 times). Both libraries end in
graphs or tensors of their own where a model directory holds plain codes and scales.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.compression.quantization.calibration import Calibration, input_grids
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.layout import Layout, is_decay, layout_of
from aum_edge.compression.quantization.rounding import channel_scales, to_int8
from aum_edge.compression.quantization.sensitivity import choose
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import QuantizedLayer, replace_layer

log = logging.getLogger(__name__)


@torch.no_grad()
def halve(model: AudioClassifier) -> AudioClassifier:
    """A copy whose tensors are rounded to float16 and stored so; it still computes in float32.

    Batch norms are left as they are, since the official count charges a folded bias once an
    output position.

    Raises:
        CompressionError: The model is quantized already, or a value does not fit into float16.
    """
    if model.quantization:
        raise CompressionError("This model is quantized already; take the float model.")
    backbone = copy.deepcopy(model.backbone)
    names = []
    for name, tensor in backbone.state_dict().items():
        if tensor.dtype == torch.float32:
            tensor.copy_(tensor.half().float())
            if not torch.isfinite(tensor).all():
                raise CompressionError(f"{name} does not fit into float16; keep float32.")
            names.append(name)
    description = {"bits": 16, "granularity": "none", "layers": [], "float16": names}
    return model.with_backbone(backbone, {"step": "store as float16"}, description)


@dataclass(frozen=True)
class Grids:
    """What rounding goes by: a scale for each output channel, a grid for each rounded input."""

    scales: dict[str, Tensor]
    inputs: dict[str, Tensor]


def quantize(
    model: AudioClassifier, config: QuantizeConfig, clips: Calibration | None = None
) -> AudioClassifier:
    """A copy with int8 weights, one symmetric scale an output channel.

    Batch norms are folded first. Decay rates, biases, norms, tokens and positions stay float, and
    so does the scan. Layers of ``config.half`` keep 16 bit weights; with ``activations: uint8``
    int8 layers round what they take in. ``config.qat`` is for ``qat.train_quantized``.

    Args:
        model: The float model; it is left alone.
        config: What is stored how.
        clips: Training clips; needed for rounded inputs and for ``keep_float: auto``.

    Raises:
        CompressionError: the model is quantized already, a weight is not finite, a pattern
            matches no layer, nothing is left to quantize, or clips are missing or constant.
    """
    folded = prepared(model)
    if config.keep_float == "auto":
        config, _ = choose(folded, config, _needed(clips, "keep_float: auto"))
    layout = layout_of(folded.backbone, config)
    return store(folded, layout, find_grids(folded, layout, config, clips), config, clips)


def prepared(model: AudioClassifier) -> AudioClassifier:
    """A copy of the float model with its batch norms folded, fit to be quantized.

    Raises:
        CompressionError: The model is quantized already, or a weight is not finite.
    """
    if model.quantization:
        raise CompressionError("This model is quantized already; quantize the float model.")
    folded = fold_batch_norm(model)
    for name, parameter in folded.backbone.named_parameters():
        if not torch.isfinite(parameter).all():
            raise CompressionError(f"The weight {name} holds NaN or infinity; train again.")
    return folded


def find_grids(
    folded: AudioClassifier, layout: Layout, config: QuantizeConfig, clips: Calibration | None
) -> Grids:
    """Scales from the weights, input grids from the clips."""
    scales = {
        name: channel_scales(
            folded.backbone.get_parameter(f"{name}.weight"), config.method, config.scale_dtype
        )
        for name in layout.int8
    }
    inputs: dict[str, Tensor] = {}
    if layout.inputs:
        given = _needed(clips, "activations: uint8")
        inputs = input_grids(folded, layout.inputs, given, config.calibration)
    return Grids(scales, inputs)


def store(
    folded: AudioClassifier,
    layout: Layout,
    grids: Grids,
    config: QuantizeConfig,
    clips: Calibration | None = None,
    note: dict[str, Any] | None = None,
) -> AudioClassifier:
    """The folded float model in the given layout and grids; ``note`` joins its record.

    ``folded`` is changed and must not be used any more.
    """
    backbone = folded.backbone
    for name in layout.int8:
        weight = backbone.get_parameter(f"{name}.weight")
        small = replace_layer(backbone, name, name in grids.inputs)
        with torch.no_grad():
            small.weight.copy_(to_int8(weight, grids.scales[name]))
            small.scale.copy_(grids.scales[name])
            if small.input_grid is not None:
                small.input_grid.copy_(grids.inputs[name])
    half = _round_to_half(backbone, layout, config)
    log.info("Quantized %d layers to int8 (%s scales).", len(layout.int8), config.method)
    description: dict[str, Any] = {
        "bits": 8,
        "granularity": "per_channel",
        "method": config.method,
        "layers": list(layout.int8),
        "float16": half,
    }
    if layout.inputs:
        description["inputs"] = list(layout.inputs)
    if clips is not None and (layout.inputs or note):
        description["calibration"] = clips.record(config.calibration)
    description |= note or {}
    step: dict[str, Any] = {
        "step": "quantize",
        "method": config.method,
        "float_dtype": config.float_dtype,
    }
    step |= {"skipped": list(config.skip), "half": list(layout.half)}
    return folded.with_backbone(backbone, step, description)


def _needed(clips: Calibration | None, setting: str) -> Calibration:
    if clips is None:
        raise CompressionError(
            f"`{setting}` measures on training clips and there are none: give a calibration set "
            "of about 100, or quantize through a recipe."
        )
    return clips


def _round_to_half(backbone: nn.Module, layout: Layout, config: QuantizeConfig) -> list[str]:
    """Round what is stored in 16 bit to 16 bit; names of those tensors.

    Decay rates stay: exp(A_log) is applied once a token, so its error grows along the clip.
    """
    wanted = {f"{name}.weight" for name in layout.half}
    grids: set[str] = set()
    for name, module in backbone.named_modules():
        if isinstance(module, QuantizedLayer):
            grids |= {f"{name}.scale", f"{name}.input_grid"}
            if config.scale_dtype == "float16":
                wanted.add(f"{name}.scale")
    rounded = []
    with torch.no_grad():
        for name, tensor in backbone.state_dict().items():
            plain = tensor.dtype == torch.float32 and name not in grids and not is_decay(name)
            if name in wanted or (plain and config.float_dtype == "float16"):
                if tensor.abs().max() > torch.finfo(torch.float16).max:
                    raise CompressionError(f"{name} does not fit into float16; keep float32.")
                tensor.copy_(tensor.half().float())
                rounded.append(name)
    return rounded
