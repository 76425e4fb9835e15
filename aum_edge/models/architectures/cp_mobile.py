"""CP-Mobile, the control: the CNN that the DCASE 2024 and 2025 baselines use.

61,148 parameters and 29.4 M MACs at 32 base channels, multiplier 1.8 and expansion 2.1.
Source: Schmid et al., arXiv 2305.07499; keys as in the baseline's checkpoints.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from aum_edge.models.architectures.base import Backbone, NetworkParts, first_output
from aum_edge.models.architectures.conv import ConvNorm
from aum_edge.models.config import CPMobileConfig
from aum_edge.models.registry import register_architecture

N_BLOCKS = (3, 2, 1)
STRIDES = {3: (1, 2), 4: (2, 1)}
"""Stride (freq, time) of the blocks, counted from 1, that have one."""


class Block(nn.Module):
    """Widen by 1x1, filter each channel by 3x3, narrow by 1x1, add the input when shapes allow."""

    def __init__(
        self, inputs: int, outputs: int, expansion: float, stride: tuple[int, int], folded: bool
    ) -> None:
        super().__init__()
        wide = round_to_eight(inputs * expansion)
        self.block = nn.Sequential(
            ConvNorm(inputs, wide, (1, 1), folded=folded),
            ConvNorm(wide, wide, (3, 3), stride=stride, groups=wide, folded=folded),
            ConvNorm(wide, outputs, (1, 1), activation=False, folded=folded),
        )
        self.shortcut: nn.Module | None = None
        if inputs == outputs:
            strided = stride != (1, 1)
            self.shortcut = nn.AvgPool2d(3, stride, padding=1) if strided else nn.Identity()
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, F, T) to (B, outputs, F', T')."""
        y = self.block(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return self.activation(y)


@register_architecture(
    "cp_mobile", CPMobileConfig, role="control", presets={"cp-mobile": CPMobileConfig}
)
class CPMobile(Backbone):
    """Log-mel (B, 1, n_mels, n_frames) to logits (B, n_classes)."""

    any_length: ClassVar[bool] = True
    channels_last: ClassVar[bool] = True

    def __init__(self, config: CPMobileConfig) -> None:
        super().__init__()
        self.config: CPMobileConfig = config
        base = round_to_eight(config.base_channels)
        self.in_c = nn.Sequential(
            ConvNorm(1, base // 4, (3, 3), stride=(2, 2), folded=config.folded),
            ConvNorm(base // 4, base, (3, 3), stride=(2, 2), folded=config.folded),
        )
        self.stages = nn.Sequential()
        width, number = base, 0
        for stage, count in enumerate(N_BLOCKS):
            outputs = round_to_eight(config.base_channels * config.channels_multiplier**stage)
            blocks = nn.Sequential()
            for _ in range(count):
                number += 1
                stride = STRIDES.get(number, (1, 1))
                block = Block(width, outputs, config.expansion_rate, stride, config.folded)
                blocks.add_module(f"b{number}", block)
                width = outputs
            self.stages.add_module(f"s{stage + 1}", blocks)
        classes = config.n_classes
        self.feed_forward = ConvNorm(width, classes, (1, 1), activation=False, folded=config.folded)

    def forward(self, x: Tensor) -> Tensor:
        """Classify."""
        return self.feed_forward(self.stages(self.in_c(x))).mean(dim=(2, 3))

    def parts(self) -> NetworkParts:
        """Blocks one by one, across the stages."""
        blocks = [block for stage in self.stages for block in stage.children()]
        return NetworkParts(tuple(blocks), (), self.feed_forward)

    def block_tokens(self, outputs: list[Any]) -> Tensor:
        """Columns of the picture (B, channels, F, T), frequency averaged away."""
        return first_output(outputs).mean(dim=2).transpose(1, 2)  # (B, T, channels)


def round_to_eight(width: float) -> int:
    """The nearest multiple of 8, never more than a tenth below ``width``."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
