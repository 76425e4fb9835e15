"""Stored bytes of a model by precision, and the elements of state that it streams with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.models.architectures.base import StreamableBackbone
from aum_edge.models.classifier import AudioClassifier
from aum_edge.models.quantized import QuantizedLayer
from aum_edge.models.storage.directory import COUNTERS, stored_tensors

GRIDS = ("scale", "input_grid")
"""The tensors of a quantized layer that are no weights."""


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
    scales: frozenset[str] = frozenset()
    """Names of the scales of quantized layers: bytes, not weights."""
    by_precision: dict[str, Precision] = field(default_factory=dict)

    @property
    def n_params(self) -> int:
        """Weights; the scales of quantized layers are bytes, not weights."""
        return sum(t.numel() for name, t in self.parameters.items() if name not in self.scales)

    @property
    def param_bytes(self) -> int:
        """Bytes of parameters, scales included."""
        return sum(map(_bytes, self.parameters.values()))

    @property
    def scale_bytes(self) -> int:
        """Bytes of scales and zero points."""
        return sum(_bytes(t) for name, t in self.parameters.items() if name in self.scales)

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
            if name not in self.scales
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
    return _sizes(stored_tensors(model), model.backbone)


def module_sizes(network: nn.Module) -> Sizes:
    """Any module's parameters and persistent buffers; what has two names counts once."""
    kept: dict[str, Tensor] = {}
    seen: set[int] = set()
    own = {name for name, _ in network.named_parameters()}
    state = network.state_dict()
    for name in sorted(state, key=lambda name: name not in own):
        tensor = state[name]
        if isinstance(tensor, Tensor) and not name.endswith(COUNTERS):
            # Packed int8 weights of torch's own quantization are no tensors and have no bytes here.
            key = tensor.data_ptr() if tensor.numel() else -len(seen) - 1
            if key not in seen:
                kept[name] = tensor
            seen.add(key)
    return _sizes(kept, network)


def _sizes(tensors: Mapping[str, Tensor], network: nn.Module) -> Sizes:
    parameters = {name for name, _ in network.named_parameters()}
    quantized = [n for n, m in network.named_modules() if isinstance(m, QuantizedLayer)]
    sizes = Sizes(
        {name: t for name, t in tensors.items() if name in parameters},
        {name: t for name, t in tensors.items() if name not in parameters},
        frozenset(f"{name}.{grid}" for name in quantized for grid in GRIDS),
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


def streaming_state(network: nn.Module) -> int | None:
    """Elements that a network carries from one token of a stream to the next, for one clip.

    The states of its scans, the inputs that causal convolutions reach back to, what its pooling
    keeps and the number of tokens. ``None`` for what cannot stream.
    """
    if not isinstance(network, StreamableBackbone) or network.stream_refusal():
        return None
    return sum(tensor.numel() for tensor in network.initial_state().values())
