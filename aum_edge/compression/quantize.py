"""int8 weights for every convolution and linear layer; the scan and the rest stay float."""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from aum_edge.compression.config import QuantizeConfig
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import QuantizedLayer, replace_layer

log = logging.getLogger(__name__)
QMAX = 127
"""Symmetric: -128 is not used, so a negated weight has the negated code."""
TRIALS = 100
SMALLEST_TRIAL = 0.5
"""The mse search tries this many scales, from this share of the largest weight up to all of it."""


def quantize(model: AudioClassifier, config: QuantizeConfig) -> AudioClassifier:
    """A copy with int8 weights, one symmetric scale an output channel.

    Batch norms are folded first. Decay rates, biases, norms, tokens and positions stay float, and
    so do all activations: a tiny Mamba loses nothing here, and gains nothing from less in bytes.

    Raises:
        CompressionError: the model is quantized already, a weight is not finite, a skip pattern
            matches no layer, or nothing is left to quantize.
    """
    if model.quantization:
        raise CompressionError("This model is quantized already; quantize the float model.")
    folded = fold_batch_norm(model)
    backbone = folded.backbone
    names = _layers(backbone, config.skip)
    for name in names:
        weight = backbone.get_submodule(name).get_parameter("weight")
        if not torch.isfinite(weight).all():
            raise CompressionError(f"The weight of {name} holds NaN or infinity; train again.")
        scale = channel_scales(weight.detach(), config.method)
        small = replace_layer(backbone, name)
        with torch.no_grad():
            small.weight.copy_(to_int8(weight, scale))
            small.scale.copy_(scale)
    half = _round_to_half(backbone) if config.float_dtype == "float16" else []
    log.info("Quantized %d layers to int8 (%s scales).", len(names), config.method)
    description = {
        "bits": 8,
        "granularity": "per_channel",
        "method": config.method,
        "layers": names,
        "float16": half,
    }
    step = {"step": "quantize", "method": config.method, "float_dtype": config.float_dtype}
    return folded.with_backbone(backbone, {**step, "skipped": list(config.skip)}, description)


def channel_scales(weight: Tensor, method: str) -> Tensor:
    """One scale for each row of a weight (out, ...): (out,) float32.

    max: the largest magnitude over 127. mse: the share of it whose rounding has the least squared
    error; clipping one outlier can be worth a finer grid for all others. A row of zeros gets 1.

    Cost: mse reads the weight ``TRIALS`` times.
    """
    rows = weight.float().flatten(1)
    top = rows.abs().amax(dim=1) / QMAX
    top = torch.where(top > 0, top, torch.ones_like(top))
    if method == "max":
        return top
    best, least = top, torch.full_like(top, torch.inf)
    for share in torch.linspace(1, SMALLEST_TRIAL, TRIALS):
        scale = top * share
        error = (rows - to_int8(rows, scale) * scale[:, None]).square().sum(dim=1)
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
    return best


def to_int8(weight: Tensor, scale: Tensor) -> Tensor:
    """Codes -127 to 127 (int8) of a weight (out, ...) on the grids of ``scale`` (out,)."""
    steps = weight.detach().float() / scale.view(-1, *[1] * (weight.ndim - 1))
    return steps.round().clamp(-QMAX, QMAX).to(torch.int8)


@torch.no_grad()
def sqnr_report(model: AudioClassifier, quantized: AudioClassifier) -> dict[str, float]:
    """Signal to quantization noise of every stored tensor that changed, in dB; inf if exact.

    ``model`` is what ``quantized`` was made from; its batch norms are folded for the comparison.
    8 bit weights are usually between 35 and 50 dB; look at what is far below.
    """
    reference = fold_batch_norm(model).backbone.state_dict()
    report = {}
    for name, module in quantized.backbone.named_modules():
        if isinstance(module, QuantizedLayer):
            key = f"{name}.weight"
            report[key] = sqnr(reference[key], module.float_weight())
    stored = quantized.backbone.state_dict()
    for key in (quantized.quantization or {}).get("float16", ()):
        report[key] = sqnr(reference[key], stored[key])
    return report


def sqnr(signal: Tensor, approximation: Tensor) -> float:
    """10 log10 of signal power over error power, dB."""
    noise = (signal.double() - approximation.double()).square().sum()
    power = signal.double().square().sum()
    return float(10 * torch.log10(power / noise)) if noise > 0 else float("inf")


def _layers(backbone: nn.Module, skip: tuple[str, ...]) -> list[str]:
    names = [
        name
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    ]
    for pattern in skip:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise CompressionError(
                f"The skip pattern {pattern!r} matches no layer; layers are {', '.join(names)}."
            )
    kept = [name for name in names if not any(fnmatchcase(name, p) for p in skip)]
    if not kept:
        raise CompressionError("Every layer is skipped: there is nothing to quantize.")
    return kept


def _round_to_half(backbone: nn.Module) -> list[str]:
    """Round what may be stored in 16 bit to 16 bit; names of those tensors.

    Decay rates stay: exp(A_log) is applied once a token, so its error grows along the clip.
    """
    scales = {
        f"{name}.scale" for name, m in backbone.named_modules() if isinstance(m, QuantizedLayer)
    }
    rounded = []
    with torch.no_grad():
        for name, tensor in backbone.state_dict().items():
            plain = tensor.dtype == torch.float32 and name not in scales
            if plain and not name.rpartition(".")[2].startswith("A_"):
                if tensor.abs().max() > torch.finfo(torch.float16).max:
                    raise CompressionError(f"{name} does not fit into float16; keep float32.")
                tensor.copy_(tensor.half().float())
                rounded.append(name)
    return rounded
