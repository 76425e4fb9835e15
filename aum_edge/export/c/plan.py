"""What the engine needs to know of a student: sizes, and where each weight lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from aum_edge.errors import UnsupportedOperatorError
from aum_edge.export.c.tensors import Packed, Weights
from aum_edge.models.architectures.mamba_student import TIME_STEPS, MambaStudent
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.config import MambaStudentConfig
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import QuantizedLayer
from aum_edge.ssm.mixers.directions import DIRECTIONS
from aum_edge.ssm.mixers.gated_conv import GatedConvMixer
from aum_edge.ssm.mixers.s6 import S6Mixer

KNOWN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Identity, nn.LayerNorm)
"""Layers that other networks share with the students."""


@dataclass(frozen=True)
class Norm:
    """Gain, bias (layer norm) and epsilon."""

    gain: Packed
    bias: Packed
    eps: float

    def initializer(self) -> str:
        """The C initializer of a ``norm_tensors_t``."""
        return f"{{{self.gain.initializer()}, {self.bias.initializer()}, {number(self.eps)}}}"


@dataclass(frozen=True)
class Level:
    """One convolution of the stem; ``made`` rows of an output column."""

    inputs: int
    outputs: int
    height: int
    made: int
    step: int
    weight: Packed
    bias: Packed


@dataclass(frozen=True)
class Block:
    """One block: sizes and weights; ``paths`` are S6's, by ending of their names."""

    inner: int
    states: int
    ways: tuple[bool, ...]
    conv: tuple[int, int, int]
    """Channels, taps, rows before the current one."""
    eps: float
    norm: Norm
    weights: dict[str, Packed]
    paths: list[dict[str, Packed]] = field(default_factory=list)
    sets: int = 1

    @property
    def kept(self) -> int:
        """Floats that a stream keeps: inputs of the convolution, states of the scan."""
        return self.conv[0] * self.conv[2] + self.states * self.inner


@dataclass(frozen=True)
class EnginePlan:
    """A student, laid out."""

    model: AudioClassifier
    config: MambaStudentConfig
    weights: Weights
    levels: list[Level]
    fold: Packed
    fold_bias: Packed
    band: Packed
    blocks: list[Block]
    last_norm: Norm
    head: Packed
    head_bias: Packed

    @property
    def steps(self) -> int:
        """Time steps that have tokens."""
        return -(-self.config.n_frames // self.config.time_stride)

    @property
    def tokens(self) -> int:
        """Tokens of a clip."""
        return self.steps * self.config.frequency_groups

    @property
    def whole_clip(self) -> bool:
        """Whether a frame's features depend on the rest of the clip."""
        return self.model.frontend.whole_clip

    @property
    def streams(self) -> bool:
        """Whether the student can hear a stream: causal, one token a step, no look at the clip."""
        config = self.config
        grouped = config.frequency_groups > 1
        return not (config.bidirectional or self.whole_clip or grouped)


def plan(model: AudioClassifier) -> EnginePlan:
    """Lay out a student; its batch norms are folded first.

    Raises:
        UnsupportedOperatorError: If the engine lacks an operator of the model; it is named.
        ExportError: If a weight is not finite or the weights are too large.
    """
    check_supported(model)
    folded = fold_batch_norm(model).cpu()
    backbone: Any = folded.backbone
    config: MambaStudentConfig = backbone.config
    w = Weights.of(folded)
    made = EnginePlan(
        model=folded,
        config=config,
        weights=w,
        levels=_levels(config, w),
        fold=w.matrix("stem.fold.weight"),
        fold_bias=w.vector("stem.fold.bias"),
        band=w.vector("stem.band"),
        blocks=[_block(block, f"blocks.{i}.", w) for i, block in enumerate(backbone.blocks)],
        last_norm=_norm(backbone.norm_f, "norm_f.", w),
        head=w.matrix("head.weight"),
        head_bias=w.vector("head.bias"),
    )
    left = sorted(set(w.stored) - w.taken)
    if left:
        raise UnsupportedOperatorError(f"The C engine has no use for {', '.join(left[:3])}.")
    return made


def check_supported(model: AudioClassifier) -> None:
    """Students alone, and without rounded inputs.

    Raises:
        UnsupportedOperatorError: Naming the operator that the engine lacks.
    """
    if not isinstance(model.backbone, MambaStudent):
        kind = type(model.backbone).__name__
        for name, module in model.backbone.named_modules():
            if not list(module.children()) and not isinstance(module, KNOWN):
                kind = f"{type(module).__name__} ({name or kind})"
                break
        raise UnsupportedOperatorError(
            f"The C engine has no operator {kind}: it runs students (`student-ssd` and its like); "
            "export other networks to .onnx."
        )
    for name, module in model.backbone.named_modules():
        if isinstance(module, QuantizedLayer) and module.input_grid is not None:
            raise UnsupportedOperatorError(
                f"The C engine has no operator for rounded inputs (8 bit activations, {name}): "
                "quantize with `activations: float32`, or export to .onnx."
            )


def _levels(config: MambaStudentConfig, w: Weights) -> list[Level]:
    if config.stem == "patch":
        return []
    first, second = config.stem_channels
    levels, height = [], config.n_mels
    sizes = zip((1, first, second), (first, second, second), strict=True)
    for index, (inputs, outputs) in enumerate(sizes):
        name = f"stem.convs.{index}.0."
        made = -(-height // 2)
        step = TIME_STEPS[config.time_stride][index]
        weight, bias = w.matrix(f"{name}weight"), w.vector(f"{name}bias")
        levels.append(Level(inputs, outputs, height, made, step, weight, bias))
        height = made
    return levels


def _norm(norm: Any, name: str, w: Weights) -> Norm:
    return Norm(w.vector(f"{name}weight"), w.vector(f"{name}bias"), norm.eps)


def _block(block: Any, name: str, w: Weights) -> Block:
    mixer = block.mixer
    inside = f"{name}mixer."
    norm = _norm(block.norm, f"{name}norm.", w)
    weights = {
        "in_proj": w.matrix(f"{inside}in_proj.weight"),
        "out_proj": w.matrix(f"{inside}out_proj.weight"),
        "gain": w.vector(f"{inside}norm.weight"),
    }
    if isinstance(mixer, S6Mixer):
        paths = [_path(f"{inside}%s", ending, w) for ending in mixer.paths]
        rows = DIRECTIONS[mixer.directions]
        return Block(
            mixer.d_inner,
            mixer.d_state,
            rows,
            _conv(mixer.get_submodule(f"conv1d{mixer.paths[0]}"), weights["gain"].cols),
            mixer.norm.eps,
            norm,
            weights,
            paths,
        )
    weights |= {
        "taps": w.matrix(f"{inside}conv1d.weight"),
        "tap_bias": w.vector(f"{inside}conv1d.bias"),
    }
    conv = _conv(mixer.conv1d, weights["taps"].cols)
    if isinstance(mixer, GatedConvMixer):
        return Block(mixer.d_inner, 0, (), conv, mixer.norm.eps, norm, weights)
    weights |= {
        "bias": w.vector(f"{inside}dt_bias"),
        "rate": w.rates(f"{inside}A_log", turned=False),
        "skip": w.vector(f"{inside}D"),
    }
    sizes = (mixer.d_inner, mixer.d_state, mixer.ways, conv, mixer.norm.eps, norm, weights)
    return Block(*sizes, sets=mixer.sets)


def _path(inside: str, ending: str, w: Weights) -> dict[str, Packed]:
    """What one path of S6 has for itself."""
    return {
        "taps": w.matrix(inside % f"conv1d{ending}.weight"),
        "tap_bias": w.vector(inside % f"conv1d{ending}.bias"),
        "x_proj": w.matrix(inside % f"x_proj{ending}.weight"),
        "dt_proj": w.matrix(inside % f"dt_proj{ending}.weight"),
        "bias": w.vector(inside % f"dt_proj{ending}.bias"),
        "rate": w.rates(inside % f"A{ending}_log", turned=True),
        "skip": w.vector(inside % f"D{ending}"),
    }


def _conv(conv: Any, channels: int) -> tuple[int, int, int]:
    taps = conv.weight.shape[2]
    return channels, taps, taps - 1 if conv.reach else taps // 2


def number(value: float) -> str:
    """A float32 as C text that reads back as the same number."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if "e" in text or "." in text else f"{text}.0f"
