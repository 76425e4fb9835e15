"""Complexity of one model: exact and official figures, its limits and the verdict."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.complexity.crosscheck import CrosscheckRow, crosscheck
from aum_edge.complexity.frontend_cost import FrontEndCost, front_end_cost
from aum_edge.complexity.limits import Limits, get_limits
from aum_edge.complexity.official import NAMES, Official, official
from aum_edge.complexity.sizes import Sizes, model_sizes, module_sizes, streaming_state
from aum_edge.complexity.torch_counter import OperatorCounts, count
from aum_edge.complexity.verdict import WITHIN, Count, Verdict, verdict_of
from aum_edge.core.text import one_line
from aum_edge.errors import UnsupportedOperatorError
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.fold import fold_batch_norm

FAR_BELOW = 0.5
"""Share of the exact MACs below which an official count gets a warning."""


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """Cost of one input. Official figures are ``None`` where the year's tool cannot be run."""

    counts: OperatorCounts
    sizes: Mapping[str, Any]
    n_params: int
    official: Official
    limits: Limits
    input_shape: tuple[int, ...]
    clip_seconds: float | None = None
    front_end: FrontEndCost | None = None
    streaming_state: int | None = None
    """Elements that a streaming model keeps from one frame to the next; None if it cannot."""
    crosscheck: list[CrosscheckRow] = field(default_factory=list)
    open_axes: tuple[str, ...] = ()
    """Input sizes that an .onnx file leaves open; counted as 1, so MACs are a lower bound."""
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Operators without a rule, and an official count far below the exact one."""
        lines = [
            f"No counting rule for {name} ({calls} calls): the exact count is too low."
            for name, calls in self.counts.unsupported.items()
        ]
        macs = self.official.macs
        if macs is not None and macs < FAR_BELOW * self.counts.macs:
            top = ", ".join(
                f"{name} {value:,}" for name, value in self.counts.macs_by_op.most_common(3)
            )
            lines.append(
                f"The official count sees {100 * macs / self.counts.macs:.1f} % of the real MACs: "
                "it takes a linear layer once however many tokens pass it, and no functional "
                f"operator. Most of the truth: {top}."
            )
        return [*lines, *self.notes]

    @property
    def verdict(self) -> Verdict:
        """Every limited figure by both counts."""
        figures: dict[Count, Mapping[str, float | None]] = {
            "exact": {
                "macs": self.counts.macs,
                "param_bytes": self.sizes["param_bytes"],
                "n_params": self.n_params,
            },
            "official": {
                "macs": self.official.macs,
                "param_bytes": self.official.param_bytes,
                "n_params": self.official.n_params,
            },
        }
        lower_bound = bool(self.counts.unsupported or self.open_axes)
        return verdict_of(self.limits, figures, lower_bound)

    def to_dict(self) -> dict[str, Any]:
        """The document that ``aum-edge complexity --json`` prints."""
        counts, verdict = self.counts, self.verdict
        seconds = self.clip_seconds
        return {
            "exact": {
                "macs": counts.macs,
                "macs_per_second": counts.macs / seconds if seconds else None,
                "macs_by_op": dict(counts.macs_by_op),
                "special_functions": dict(counts.special_functions),
                "n_params": self.n_params,
                "param_bytes": self.sizes["param_bytes"],
                "buffer_bytes": self.sizes["buffer_bytes"],
                "state_elements": counts.state_elements,
                "streaming_state_elements": self.streaming_state,
                "peak_activation_bytes": counts.peak_activation_bytes,
            },
            "bytes": dict(self.sizes),
            "front_end": self.front_end.to_dict() if self.front_end else None,
            "official": {
                "rule": self.official.rule,
                "macs": self.official.macs,
                "param_bytes": self.official.param_bytes,
                "n_params": self.official.n_params,
            },
            "limits": {
                "name": self.limits.name,
                **self.limits.figures,
                "clip_seconds": self.limits.clip_seconds,
            },
            "within_limits": {c: WITHIN[verdict.state_by(c)] for c in verdict.counts},
            "over": [row.to_dict() for row in verdict.over],
            "verdict": verdict.to_dict(),
            "input_shape": list(self.input_shape),
            "layers": [
                {"name": name, "macs": sum(ops.values()), "macs_by_op": dict(ops)}
                for name, ops in counts.layers.items()
            ],
            "unsupported": dict(counts.unsupported),
            "open_axes": list(self.open_axes),
            "crosscheck": [row.to_dict() for row in self.crosscheck],
            "warnings": self.warnings,
        }

    def __str__(self) -> str:
        """A line a count, the verdict, and what makes the figures doubtful."""
        exact, official = self.to_dict()["exact"], self.official
        rows = [("exact", exact["macs"], exact["param_bytes"], exact["n_params"])]
        rows.append(("official", official.macs, official.param_bytes, official.n_params))
        lines = []
        for name, *values in rows:
            shown = ["–" if value is None else f"{value:,}" for value in values]
            lines.append(f"{name}: {shown[0]} MACs, {shown[1]} bytes, {shown[2]} parameters")
        return "\n".join([*lines, str(self.verdict), *self.warnings])


def analyse(
    model: AudioClassifier, limits: str | Path | Limits = "dcase2025", other_tools: bool = False
) -> Complexity:
    """Count a classifier on one clip, and compare it with limits: a preset, a YAML file or Limits.

    The exact count takes the deployed form, batch norms folded; bytes are those of the model as it
    is stored, and their sum with the buffers is the payload of model.safetensors. ``n_params``
    are weights: the scales of int8 layers are bytes, not weights. The official figures are those
    of the network at the tensor the front end hands it. ``other_tools`` adds the counts of thop,
    fvcore and the like.

    Cost: one forward pass each for the exact, the official and every other count.

    Raises:
        RecipeError: If there are no such limits.
    """
    limits = get_limits(limits)
    deployed = model if model.quantization else fold_batch_norm(model)
    example = model.example_input()
    counts = count(deployed, example)
    sizes = model_sizes(model)
    figures, refused = _official(limits, model.backbone, tuple(example.shape), sizes)
    return Complexity(
        counts=counts,
        sizes=sizes.to_dict(),
        n_params=sizes.n_params,
        official=figures,
        limits=limits,
        input_shape=tuple(example.shape),
        clip_seconds=model.frontend.clip_seconds,
        front_end=front_end_cost(model.frontend),
        streaming_state=streaming_state(model.backbone),
        crosscheck=_others(model.backbone, example) if other_tools else [],
        notes=(*refused, *_length_note(counts, model.frontend.clip_seconds)),
    )


def analyse_module(
    network: nn.Module,
    shape: tuple[int, ...],
    limits: str | Path | Limits = "dcase2025",
    other_tools: bool = False,
) -> Complexity:
    """Count any network on one input of ``shape``, batch included, as it is.

    It runs in float32, whatever it is stored in, so that 16-bit networks run on any CPU.

    Raises:
        RecipeError: If there are no such limits.
        RuntimeError: Whatever the network raises on such an input.
    """
    limits = get_limits(limits)
    sizes = module_sizes(network)
    network = copy.deepcopy(network).float()
    example = torch.zeros(shape)
    counts = count(network, example)
    figures, refused = _official(limits, network, shape, sizes)
    return Complexity(
        counts=counts,
        sizes=sizes.to_dict(),
        n_params=sizes.n_params,
        official=figures,
        limits=limits,
        input_shape=shape,
        crosscheck=_others(network, example) if other_tools else [],
        notes=refused,
    )


def _official(
    limits: Limits, network: nn.Module, shape: tuple[int, ...], sizes: Sizes
) -> tuple[Official, tuple[str, ...]]:
    """The year's figures; none, and why, where its script refuses the network."""
    try:
        found = official(limits.rule, network, shape, sizes.parameters, sizes.buffers)
    except UnsupportedOperatorError as error:
        return unknown_official(limits), (str(error),)
    except RuntimeError as error:
        reason = one_line(error, 160)
        return unknown_official(limits), (f"The official script fails on this network: {reason}.",)
    return found, ()


def _others(network: nn.Module, example: Tensor) -> list[CrosscheckRow]:
    """Other tools and, for the same network without folding, the exact count."""
    return crosscheck(network, example, count(network, example))


def unknown_official(limits: Limits) -> Official:
    """The rule's name without figures: its tool needs the torch network."""
    return Official(rule=NAMES[limits.rule])


def _length_note(counts: OperatorCounts, seconds: float) -> tuple[str, ...]:
    if abs(seconds - 1) < 1e-6:
        return ()
    share = counts.macs / seconds / 1e6
    return (f"One clip is {seconds:g} s: {share:,.2f} M MACs a second of audio.",)
