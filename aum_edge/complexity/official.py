"""What the challenge's own script prints, right or wrong: torchinfo 1.8.0 and parameter bytes.

torchinfo 1.8.0 sums leaf modules only, takes a linear layer once however many tokens pass it, and
sees no functional operator, so Mamba's scan and gates count nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
import torchinfo
from torch import Tensor, nn

from aum_edge.errors import UnsupportedOperatorError

RULE = "torchinfo 1.8.0 total_mult_adds; bytes of model.parameters() by dtype"
BYTES = {
    torch.float32: 4,
    torch.float16: 2,
    torch.bfloat16: 2,
    torch.int8: 1,
    torch.uint8: 1,
    torch.int32: 4,
}


def official_macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """``total_mult_adds`` of the network on an input of this shape, batch included."""
    summary = torchinfo.summary(copy.deepcopy(network).float(), input_size=shape, verbose=0)
    return int(summary.total_mult_adds)


def official_bytes(parameters: Iterable[Tensor]) -> int:
    """Bytes of parameters as the script counts them: buffers do not count, zeros do.

    Raises:
        UnsupportedOperatorError: A dtype that the script refuses.
    """
    total = 0
    for parameter in parameters:
        if parameter.dtype not in BYTES:
            raise UnsupportedOperatorError(
                f"The official script refuses parameters of type {parameter.dtype}; "
                f"it knows {', '.join(str(kind) for kind in BYTES)}."
            )
        total += parameter.numel() * BYTES[parameter.dtype]
    return total
