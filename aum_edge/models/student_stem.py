"""Spectrogram to tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aum_edge.models.conv import ConvNorm
from aum_edge.models.student_config import MambaStudentConfig

TIME_STEPS = {4: (2, 1, 2), 2: (2, 1, 1), 1: (1, 1, 1)}
"""Strides in time of the three convolutions, by frames a token."""


class Stem(nn.Module):
    """Spectrogram (B, 1, F, T) to tokens (B, ceil(T / time_stride) * frequency_groups, d_model).

    Three strided convolutions take frequency to an eighth, or none do (``patch``); ``fold`` spans
    each group of the rows that are left. Tokens of one time step are neighbours, lowest group
    first. Token t of a causal stem sees frames up to t * time_stride.
    """

    def __init__(self, config: MambaStudentConfig) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(_convs(config) if config.stem == "conv" else ()))
        patch = config.stem == "patch"
        inputs = 1 if patch else config.stem_channels[1]
        steps = config.time_stride if patch else 1
        height = config.rows // config.frequency_groups
        self.fold = nn.Conv2d(inputs, config.d_model, (height, steps), (height, steps))
        ahead = steps - 1
        self.reach = ahead if not config.bidirectional else ahead // 2
        self.padding = (self.reach, ahead - self.reach)
        self.band: nn.Parameter | None = None
        if config.frequency_groups > 1:
            band = torch.empty(config.frequency_groups, config.d_model)
            self.band = nn.Parameter(nn.init.trunc_normal_(band, std=0.02))

    def forward(self, x: Tensor) -> Tensor:
        """Make tokens."""
        x = self.convs(x)
        x = self.fold(F.pad(x, self.padding) if sum(self.padding) else x)
        if self.band is None:
            return x.squeeze(2).transpose(1, 2)
        return (x.permute(0, 3, 2, 1) + self.band).flatten(1, 2)


def _convs(config: MambaStudentConfig) -> list[ConvNorm]:
    first, second = config.stem_channels
    steps = TIME_STEPS[config.time_stride]
    causal, folded = not config.bidirectional, config.folded
    return [
        ConvNorm(1, first, (3, 3), stride=(2, steps[0]), causal=causal, folded=folded),
        ConvNorm(first, second, (3, 3), stride=(2, steps[1]), causal=causal, folded=folded),
        ConvNorm(
            second,
            second,
            (3, 3),
            stride=(2, steps[2]),
            groups=second,
            activation=False,
            causal=causal,
            folded=folded,
        ),
    ]
