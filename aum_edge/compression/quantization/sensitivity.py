"""Quantization sensitivity of each tensor, and the choice of mixed precision.

Every weight (int8 against 16 bit) and every rounded input is tried twice: it alone quantized, and
all but it. The distance to the float model's outputs is the KL divergence on calibration clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from aum_edge.compression.quantization.calibration import Calibration, input_grids
from aum_edge.compression.quantization.config import QuantizeConfig
from aum_edge.compression.quantization.layout import Layout, layout_bytes, layout_of
from aum_edge.compression.quantization.rounding import channel_scales, rounded_weight
from aum_edge.compression.quantization.simulate import Reading, clip_logits, compare, simulated
from aum_edge.core.progress import Progress
from aum_edge.errors import CompressionError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm

WORTH = 2.0
"""Without a limit on bytes, the share of the loss that is saved has to be so many times the share
of bytes that is added."""


@dataclass(frozen=True)
class TensorReading:
    """One tensor of the sweep; ``kind`` is weight or input."""

    layer: str
    kind: str
    alone: Reading
    """This one quantized, everything else float."""
    without: Reading
    """Everything quantized but this one."""
    extra_bytes: int
    """What keeping it precise adds to the stored parameters; narrow layers can be below 0."""


@dataclass(frozen=True)
class Sweep:
    """All readings, and the layout chosen from them."""

    rows: tuple[TensorReading, ...]
    start: Reading
    """Everything quantized that the settings ask for."""
    end: Reading
    layout: Layout
    kept: tuple[tuple[str, str], ...]
    """(kind, layer) of what stays precise, in the order of the choice."""
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for a stage's result and the report."""
        return {
            "start": self.start.to_dict(),
            "end": self.end.to_dict(),
            "kept": [{"kind": kind, "layer": layer} for kind, layer in self.kept],
            "param_bytes": self.bytes,
            "tensors": [
                {
                    "layer": row.layer,
                    "kind": row.kind,
                    "alone": row.alone.to_dict(),
                    "without": row.without.to_dict(),
                    "extra_bytes": row.extra_bytes,
                }
                for row in self.rows
            ],
        }


class _Bench:
    """A folded float model that is read in any layout."""

    def __init__(
        self, model: AudioClassifier, layout: Layout, config: QuantizeConfig, clips: Calibration
    ) -> None:
        self.model, self.config, self.clips = model, config, clips
        self.reference = clip_logits(model, clips.features)
        self._int8: dict[str, Tensor] = {}
        self._half: dict[str, Tensor] = {}
        for name in layout.int8:
            weight = model.backbone.get_parameter(f"{name}.weight").detach()
            scale = channel_scales(weight, config.method, config.scale_dtype)
            self._int8[name] = rounded_weight(weight, scale)
        for name in (*layout.int8, *layout.half):
            weight = model.backbone.get_parameter(f"{name}.weight").detach()
            self._half[name] = weight.half().float()
        self._grids = input_grids(model, layout.inputs, clips, config.calibration)

    def read(self, layout: Layout) -> Reading:
        weights = {name: self._int8[name] for name in layout.int8}
        weights |= {name: self._half[name] for name in layout.half}
        return self._read(weights, {name: self._grids[name] for name in layout.inputs})

    def alone(self, kind: str, name: str) -> Reading:
        if kind == "weight":
            return self._read({name: self._int8[name]}, {})
        return self._read({}, {name: self._grids[name]})

    def bytes(self, layout: Layout) -> int:
        return layout_bytes(self.model.backbone, layout, self.config)

    def _read(self, weights: Mapping[str, Tensor], grids: Mapping[str, Tensor]) -> Reading:
        with simulated(self.model.backbone, weights, grids):
            logits = clip_logits(self.model, self.clips.features)
        return compare(self.reference, logits, self.model.activation, self.clips.labels)


def choose(
    model: AudioClassifier,
    config: QuantizeConfig,
    clips: Calibration,
    progress: Progress | None = None,
) -> tuple[QuantizeConfig, Sweep]:
    """Measure every tensor and keep precise what pays most; ``keep_float: listed`` settings.

    Weights come first, by loss saved per byte, until half of ``max_loss`` is left (all of it
    where inputs are float) or no more bytes may be taken; then inputs by loss saved. Without
    ``max_bytes`` a weight must also be worth its bytes (``WORTH``). What is as small in 16 bit as
    in int8 with its scales is taken in any case.

    Cost: two passes over the clips for each tensor, and one for each that is kept.

    Raises:
        CompressionError: ``max_bytes`` is below the smallest layout, or as ``layout_of``.
    """
    folded = fold_batch_norm(model)
    layout = layout_of(folded.backbone, config)
    bench = _Bench(folded, layout, config, clips)
    rows = _sweep(bench, layout, progress)
    _check_budget(bench, layout, rows, config)
    start = bench.read(layout)
    kept: list[tuple[str, str]] = []
    goal = config.sensitivity.max_loss
    for kind, limit in (("weight", goal / (2 if layout.inputs else 1)), ("input", goal)):
        layout = _keep(bench, layout, _ranked(rows, kind, start), limit, kept)
    chosen = _listed(config, layout, kept)
    sweep = Sweep(tuple(rows), start, bench.read(layout), layout, tuple(kept), bench.bytes(layout))
    return chosen, sweep


def _keep(
    bench: _Bench,
    layout: Layout,
    ranked: list[TensorReading],
    limit: float,
    kept: list[tuple[str, str]],
) -> Layout:
    """The layout with tensors of one kind kept precise until the loss is at most ``limit``."""
    current = _loss_of(bench, layout, ranked[0].kind) if ranked else 0.0
    budget = bench.config.sensitivity.max_bytes
    for row in ranked:
        free = row.kind == "weight" and row.extra_bytes <= 0
        gone = row.kind == "input" and row.layer not in layout.inputs
        if gone or (current <= limit and not free):
            continue
        trial = layout.without(row.kind, row.layer)
        bytes_before, bytes_after = bench.bytes(layout), bench.bytes(trial)
        if budget is not None and bytes_after > budget and not free:
            continue
        loss = _loss_of(bench, trial, row.kind)
        price = 0.0 if budget else WORTH * (bytes_after - bytes_before) / bytes_before
        if free or loss < current * (1 - max(0.0, price)):
            layout, current = trial, loss
            kept.append((row.kind, row.layer))
    return layout


def _sweep(bench: _Bench, layout: Layout, progress: Progress | None) -> list[TensorReading]:
    tensors = [("weight", n) for n in layout.int8] + [("input", n) for n in layout.inputs]
    base = bench.bytes(layout)
    rows = []
    for index, (kind, name) in enumerate(tensors):
        other = layout.without(kind, name)
        keeps_input = name in layout.inputs and kind == "weight"
        extra = bench.bytes(other) - base
        if keeps_input:
            # Its reading is about the weight alone: the input stays rounded in it.
            other = replace(other, inputs=layout.inputs)
        rows.append(TensorReading(name, kind, bench.alone(kind, name), bench.read(other), extra))
        if progress:
            progress(index + 1, len(tensors), "tensors tried")
    return rows


def _ranked(rows: list[TensorReading], kind: str, start: Reading) -> list[TensorReading]:
    """Best first: what costs nothing, then by loss saved, per byte where bytes are paid."""

    def worth(row: TensorReading) -> tuple[bool, float]:
        saved = start.loss - row.without.loss
        free = kind == "weight" and row.extra_bytes <= 0
        return free, saved / row.extra_bytes if kind == "weight" and not free else saved

    return sorted((row for row in rows if row.kind == kind), key=worth, reverse=True)


def _loss_of(bench: _Bench, layout: Layout, kind: str) -> float:
    """Of the weights alone while weights are chosen, of everything afterwards."""
    return bench.read(replace(layout, inputs=()) if kind == "weight" else layout).loss


def _check_budget(
    bench: _Bench, layout: Layout, rows: list[TensorReading], config: QuantizeConfig
) -> None:
    limit = config.sensitivity.max_bytes
    smallest = bench.bytes(layout)
    smallest += sum(min(0, row.extra_bytes) for row in rows if row.kind == "weight")
    if limit is not None and smallest > limit:
        raise CompressionError(
            f"`quantize.sensitivity.max_bytes` {limit:,.0f} cannot be met: the smallest layout "
            f"takes {smallest:,} bytes. Prune further, or store the rest and the scales as "
            "float16."
        )


def _listed(config: QuantizeConfig, layout: Layout, kept: list[tuple[str, str]]) -> QuantizeConfig:
    """The same settings with the choice written out."""
    if config.activations == "float32":
        floats: tuple[str, ...] = ()
    else:
        floats = (*config.float_inputs, *(name for kind, name in kept if kind == "input"))
    return replace(config, keep_float="listed", half=layout.half, float_inputs=floats)
