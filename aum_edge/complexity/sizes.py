"""Bytes as they are stored: by precision, scales, buffers, zeros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.directory import COUNTERS, stored_tensors

SCALES = (".scale", ".zero_point")
"""How the tensors of quantized layers end that are no weights."""


@dataclass
class Precision:
    """Tensors of one type."""

    tensors: int = 0
    elements: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Sizes:
    """What is stored of a model."""

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    by_precision: dict[str, Precision] = field(default_factory=dict)

    @property
    def n_params(self) -> int:
        """Weights; the scales of quantized layers are bytes, not weights."""
        return sum(t.numel() for name, t in self.parameters.items() if not name.endswith(SCALES))

    @property
    def param_bytes(self) -> int:
        """Bytes of parameters, scales included."""
        return sum(map(_bytes, self.parameters.values()))

    @property
    def scale_bytes(self) -> int:
        """Bytes of scales and zero points."""
        return sum(_bytes(t) for name, t in self.parameters.items() if name.endswith(SCALES))

    @property
    def buffer_bytes(self) -> int:
        """Bytes of what is stored and no parameter: batch norm statistics."""
        return sum(map(_bytes, self.buffers.values()))

    @property
    def zero_params(self) -> int:
        """Weights that are zero and are stored all the same."""
        return sum(
            t.numel() - int(torch.count_nonzero(t))
            for name, t in self.parameters.items()
            if not name.endswith(SCALES)
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "param_bytes": self.param_bytes,
            "scale_bytes": self.scale_bytes,
            "buffer_bytes": self.buffer_bytes,
            "payload_bytes": self.param_bytes + self.buffer_bytes,
            "zero_params": self.zero_params,
            "by_precision": {name: asdict(row) for name, row in self.by_precision.items()},
        }


def model_sizes(model: AudioClassifier) -> Sizes:
    """A classifier's tensors as its directory stores them; their bytes are its payload."""
    names = {name for name, _ in model.backbone.named_parameters()}
    return _sizes(stored_tensors(model), names)


def module_sizes(network: nn.Module) -> Sizes:
    """Any module's parameters and persistent buffers; tensors that are shared count once."""
    names = {name for name, _ in network.named_parameters()}
    state = network.state_dict()
    shared = {name for name in state if name not in names} & {
        name for name, _ in network.named_parameters(remove_duplicate=False)
    }
    kept = {n: t for n, t in state.items() if n not in shared and not n.endswith(COUNTERS)}
    return _sizes(kept, names)


def _sizes(tensors: Mapping[str, Tensor], parameters: set[str]) -> Sizes:
    sizes = Sizes(
        {name: t for name, t in tensors.items() if name in parameters},
        {name: t for name, t in tensors.items() if name not in parameters},
    )
    for tensor in tensors.values():
        kind = str(tensor.dtype).removeprefix("torch.")
        row = sizes.by_precision.setdefault(kind, Precision())
        row.tensors += 1
        row.elements += tensor.numel()
        row.bytes += _bytes(tensor)
    return sizes


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
