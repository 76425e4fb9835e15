"""Layout of a student for the C engine: sizes, and where each weight lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from aum_edge.errors import UnsupportedOperatorError
from aum_edge.export.c.blocks import Block, MixerForm, Norm, c_form
from aum_edge.export.c.tensors import Packed, Weights
from aum_edge.models.architectures.mamba_student import MambaStudent
from aum_edge.models.architectures.stem import TIME_STEPS
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm
from aum_edge.models.quantized import QuantizedLayer
from aum_edge.models.student_config import MambaStudentConfig
from aum_edge.ssm.mixers.registry import student_mixer

KNOWN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Identity, nn.LayerNorm)
"""Layers that other networks share with the students."""


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
class EnginePlan:
    """A student, laid out."""

    model: AudioClassifier
    config: MambaStudentConfig
    weights: Weights
    levels: list[Level]
    fold: Packed
    fold_bias: Packed
    band: Packed
    form: MixerForm
    """Of all blocks' mixers."""
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
        """Whether the student streams: causal, one token a step, no statistics of a clip."""
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
    w, form = Weights.of(folded), c_form(student_mixer(config.mixer))
    made = EnginePlan(
        model=folded,
        config=config,
        weights=w,
        levels=_levels(config, w),
        fold=w.matrix("stem.fold.weight"),
        fold_bias=w.vector("stem.fold.bias"),
        band=w.vector("stem.band"),
        form=form,
        blocks=[_block(form, block, f"blocks.{i}.", w) for i, block in enumerate(backbone.blocks)],
        last_norm=_norm(backbone.norm_f, "norm_f.", w),
        head=w.matrix("head.weight"),
        head_bias=w.vector("head.bias"),
    )
    left = sorted(set(w.stored) - w.taken)
    if left:
        raise UnsupportedOperatorError(f"The C engine has no use for {', '.join(left[:3])}.")
    return made


def check_supported(model: AudioClassifier) -> None:
    """Students alone, of a mixer with a C form, and without rounded inputs.

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
    c_form(student_mixer(model.backbone.config.mixer))
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


def _block(form: MixerForm, block: Any, name: str, w: Weights) -> Block:
    norm = _norm(block.norm, f"{name}norm.", w)
    return form.block(block.mixer, f"{name}mixer.", norm, w)
