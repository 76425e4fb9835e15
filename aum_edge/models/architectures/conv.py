"""Convolution, batch norm and activation as one block that can be folded for deployment."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNorm(nn.Sequential):
    """A convolution (0) and its batch norm (1), then ReLU (2) if asked for.

    ``folded`` has the norm's scale inside the convolution, which then has a bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
        activation: bool = True,
        causal: bool = False,
        folded: bool = False,
    ) -> None:
        padding = (kernel[0] // 2, 0 if causal else kernel[1] // 2)
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=folded),
            nn.Identity() if folded else nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU()] if activation else []))
        self.reach = kernel[1] - 1 if causal else 0

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) to (B, outputs, F', T'); causal pads time on the left only."""
        return super().forward(F.pad(x, (self.reach, 0)) if self.reach else x)


@torch.no_grad()
def folded_weights(block: ConvNorm) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that equals convolution and batch norm."""
    convolution, norm = block[0], block[1]
    if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError("Only a convolution with its own batch norm can be folded.")
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return convolution.weight * gain.view(-1, 1, 1, 1), norm.bias - norm.running_mean * gain
