"""What a causal network keeps from one frame to the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from aum_edge.models.config import MambaStudentConfig
from aum_edge.models.conv import ConvNorm


def streaming_state(network: nn.Module, example: Tensor) -> int | None:
    """Elements of state of a student in one direction; ``None`` for what cannot stream.

    The recurrent state is inner channels times states a block. Each causal convolution keeps the
    inputs its kernel reaches back to. The mean over tokens keeps one running sum a channel and
    the number of tokens.

    Cost: one forward pass.
    """
    config = getattr(network, "config", None)
    if not isinstance(config, MambaStudentConfig) or config.bidirectional:
        return None
    sizes = zip(config.block_inner, config.block_states, strict=True)
    recurrent = sum(inner * states for inner, states in sizes)
    return recurrent + _reached_back(network, example) + config.d_model + 1


def _reached_back(network: nn.Module, example: Tensor) -> int:
    """Elements that causal convolutions look back at: those modules have a ``reach``."""
    total = 0

    def look(module: nn.Module, args: tuple[Any, ...]) -> None:
        nonlocal total
        x: Tensor = args[0]
        # Tokens are (B, L, channels); features are (B, channels, F, T). What a stride steps over
        # is not needed again.
        length = x.shape[1] if x.ndim == 3 else x.shape[3]
        layer: Any = module
        kept: int = layer.reach + 1 - (layer[0].stride[1] if isinstance(module, ConvNorm) else 1)
        total += kept * x.numel() // (length * x.shape[0])

    handles = [
        module.register_forward_pre_hook(look)
        for module in network.modules()
        if getattr(module, "reach", 0)
    ]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(example)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return total
