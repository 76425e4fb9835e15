"""The whole answer about one model: exact, official, limits and the verdict by each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from aum_edge.complexity.counter import OperatorCounts, count
from aum_edge.complexity.limits import Limits
from aum_edge.complexity.official import RULE, official_bytes, official_macs
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.directory import payload_bytes, stored_tensors
from aum_edge.models.fold import fold_batch_norm


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """Cost of one clip. ``official`` figures are ``None`` where the script cannot be run."""

    counts: OperatorCounts
    n_params: int
    param_bytes: int
    buffer_bytes: int
    official_macs: int | None
    official_bytes: int | None
    limits: Limits
    input_shape: tuple[int, ...]

    @property
    def warnings(self) -> list[str]:
        """Plain lines: operators without a rule, and an official count far below the truth."""
        lines = [
            f"No counting rule for {name} ({calls} calls): the exact count is too low."
            for name, calls in self.counts.unsupported.items()
        ]
        if self.official_macs is not None and self.official_macs < 0.5 * self.counts.macs:
            top = ", ".join(name for name, _ in self.counts.macs_by_op.most_common(3))
            share = self.official_macs / self.counts.macs
            lines.append(
                f"The official count sees {100 * share:.0f} % of the real MACs: it ignores the "
                f"token axis of linear layers and functional operators ({top})."
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The document that ``aum-edge complexity --json`` prints."""
        counts, limits = self.counts, self.limits
        return {
            "exact": {
                "macs": counts.macs,
                "macs_by_op": dict(counts.macs_by_op),
                "special_functions": dict(counts.special_functions),
                "n_params": self.n_params,
                "param_bytes": self.param_bytes,
                "buffer_bytes": self.buffer_bytes,
                "state_elements": counts.state_elements,
                "peak_activation_bytes": counts.peak_activation_bytes,
            },
            "official": {
                "rule": RULE,
                "macs": self.official_macs,
                "param_bytes": self.official_bytes,
            },
            "limits": {
                "name": limits.name,
                "macs": limits.macs,
                "param_bytes": limits.param_bytes,
            },
            "within_limits": {
                "exact": _within(limits, counts.macs, self.param_bytes),
                "official": _within(limits, self.official_macs, self.official_bytes),
            },
            "input_shape": list(self.input_shape),
            "layers": [
                {"name": name, "macs": sum(ops.values()), "macs_by_op": dict(ops)}
                for name, ops in counts.layers.items()
            ],
            "unsupported": dict(counts.unsupported),
            "warnings": self.warnings,
        }


def analyse(model: AudioClassifier, limits: Limits) -> Complexity:
    """Count a classifier on one clip.

    The exact count takes the deployed form, batch norms folded; bytes are those of the model as it
    is stored, and their sum with the buffers is the payload of model.safetensors. ``n_params``
    are weights: the scales of int8 layers are bytes, not weights. The official figures are those
    of the network at the tensor the front end hands it.

    Cost: one forward pass each for the exact and the official count.
    """
    deployed = model if model.quantization else fold_batch_norm(model)
    counts = count(deployed, model.example_input())
    own, buffers = payload_bytes(model)
    names = dict(model.backbone.named_parameters())
    shape = tuple(model.example_input().shape)
    return Complexity(
        counts=counts,
        n_params=sum(p.numel() for name, p in names.items() if not name.endswith(".scale")),
        param_bytes=own,
        buffer_bytes=buffers,
        official_macs=official_macs(model.backbone, shape),
        official_bytes=official_bytes(_stored_parameters(model)),
        limits=limits,
        input_shape=shape,
    )


def _stored_parameters(model: AudioClassifier) -> list[Tensor]:
    names = {name for name, _ in model.backbone.named_parameters()}
    return [tensor for name, tensor in stored_tensors(model).items() if name in names]


def _within(limits: Limits, macs: int | None, size: int | None) -> bool | None:
    if macs is None or size is None:
        return None
    fits_macs = limits.macs is None or macs <= limits.macs
    return fits_macs and (limits.param_bytes is None or size <= limits.param_bytes)
