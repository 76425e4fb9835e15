"""Official figures of a challenge year: what that year's own tool prints.

torchinfo  2024, 2025: ``torchinfo.summary(...).total_mult_adds`` at version 1.8.0, and the bytes
           of ``model.parameters()`` by type
nessi      2022, 2023: NeSsi, whose torch branch is torchinfo, and the number of parameters
nonzero    2021: bytes of all weights that are not zero, batch norm statistics included; no MACs

torchinfo 1.8.0 sums leaf modules only, takes a linear layer once however many tokens pass it, and
sees no functional operator, so Mamba's scan and gates count nothing. It counts a batch norm by
its parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torchinfo
from torch import Tensor, nn

from aum_edge.complexity.limits import Rule
from aum_edge.errors import UnsupportedOperatorError

NAMES: dict[Rule, str] = {
    "torchinfo": "torchinfo 1.8.0 total_mult_adds; bytes of model.parameters() by dtype",
    "nessi": "NeSsi: torchinfo 1.8.0 total_mult_adds; number of parameters",
    "nonzero": "bytes of non-zero weights and batch norm statistics by dtype; MACs not counted",
}
BYTES = {
    torch.float32: 4,
    torch.float16: 2,
    torch.bfloat16: 2,
    torch.int8: 1,
    torch.uint8: 1,
    torch.int32: 4,
}
COUNTERS = "num_batches_tracked"


@dataclass(frozen=True, kw_only=True)
class Official:
    """One year's figures; ``None`` is what its tool does not give."""

    rule: str
    macs: int | None = None
    param_bytes: int | None = None
    n_params: int | None = None


def official(
    rule: Rule,
    network: nn.Module,
    shape: tuple[int, ...],
    parameters: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
) -> Official:
    """The figures of one network by one year's rule.

    Args:
        rule: Which.
        network: As the tool is handed it.
        shape: Of its input, batch included.
        parameters: By name, in the types they are stored in.
        buffers: The same.

    Raises:
        UnsupportedOperatorError: A type that the year's script refuses.
    """
    if rule == "nonzero":
        stored = [*parameters.values(), *(t for n, t in buffers.items() if COUNTERS not in n)]
        return Official(rule=NAMES[rule], param_bytes=sum(map(nonzero_bytes, stored)))
    return Official(
        rule=NAMES[rule],
        macs=official_macs(network, shape),
        param_bytes=official_bytes(parameters.values()),
        n_params=sum(tensor.numel() for tensor in parameters.values()),
    )


def official_macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """``total_mult_adds`` of the network on an input of this shape, batch included."""
    summary = torchinfo.summary(copy.deepcopy(network).float(), input_size=shape, verbose=0)
    return int(summary.total_mult_adds)


def official_bytes(parameters: Iterable[Tensor]) -> int:
    """Bytes of parameters as the script counts them: buffers do not count, zeros do.

    Raises:
        UnsupportedOperatorError: A dtype that the script refuses.
    """
    return sum(tensor.numel() * width(tensor) for tensor in parameters)


def nonzero_bytes(tensor: Tensor) -> int:
    """Bytes of what is not zero in a tensor."""
    return int(torch.count_nonzero(tensor)) * tensor.element_size()


def width(tensor: Tensor) -> int:
    """Bytes an element by the script's table.

    Raises:
        UnsupportedOperatorError: A dtype that is not in it.
    """
    if tensor.dtype not in BYTES:
        raise UnsupportedOperatorError(
            f"The official script refuses parameters of type {tensor.dtype}; "
            f"it takes {', '.join(str(kind) for kind in BYTES)}."
        )
    return BYTES[tensor.dtype]
